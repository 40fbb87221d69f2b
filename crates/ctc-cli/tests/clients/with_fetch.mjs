// A program for the CTC API that knows its base URL but no credentials, with Node's fetch.

import assert from "node:assert/strict";

const base = process.argv[2];

const pages = [1, 2, 3].map((page) =>
  fetch(`${base}/connect/services/devices?pg=${page}&pgsize=5`),
);
for (const devices of await Promise.all(pages)) {
  assert.equal(devices.status, 200);
  assert.equal((await devices.json()).response.results.length, 5);
}

const note = await fetch(`${base}/connect/services/devices/1001/notes`, {
  method: "POST",
  body: "from fetch",
});
assert.equal(note.status, 201);
await note.text();

const large = await fetch(`${base}/connect/test/bytes/1000000`);
let length = 0;
for await (const piece of large.body) length += piece.length;
assert.equal(length, 1000000);

async function* pieces() {
  for (let i = 0; i < 100; i++) yield new Uint8Array(10000);
}
const echo = await fetch(`${base}/connect/test/echo`, {
  method: "POST",
  body: pieces(),
  duplex: "half",
});
assert.equal((await echo.json()).bodyLength, 1000000);

const forbidden = await fetch(`${base}/connect/test/forbidden`);
assert.equal(forbidden.status, 403);
assert.equal(forbidden.headers.get("set-cookie"), null);
console.log("fine");
