// A client for both logins, and a test of it with ctc-server.
// Node 18 or newer, without packages.

import assert from "node:assert/strict";

const server = JSON.parse(process.env.CTC_SERVER);

/** Keeps one token, and logs in again after a 401: once for each call. */
class Client {
  constructor(login) {
    this.login = login;
    this.token = null;
  }

  async logIn() {
    const { username, password } = server;
    const form = new URLSearchParams({ username, password });
    const options = { method: "POST", body: form, redirect: "manual" };
    if (this.login === "oauth") {
      form.set("grant_type", "password");
      form.set("client_id", server.client_id);
      form.set("scope", "openid");
      const response = await fetch(server.token_url, options);
      assert.equal(response.status, 200, await response.clone().text());
      const { access_token: token } = await response.json();
      this.token = { Authorization: `Bearer ${token}` };
    } else {
      options.headers = { "calamp-services-app": server.app_key };
      const url = `${server.url}/connect/services/login?useAuthToken=true`;
      const response = await fetch(url, options);
      assert.equal(response.status, 200, await response.text());
      const lines = response.headers.getSetCookie();
      const line = lines.find((line) => line.startsWith("authToken="));
      this.token = { Cookie: line.split(";")[0] };
    }
  }

  async get(path) {
    let response;
    for (let sent = 0; sent < 2; sent++) {
      if (this.token === null) await this.logIn();
      const headers = { ...this.token, "calamp-services-app": server.app_key };
      response = await fetch(server.url + path, { headers, redirect: "manual" });
      if (response.status !== 401) break;
      await response.arrayBuffer();
      this.token = null;
    }
    return response;
  }
}

async function control(method, path, body) {
  const options = { method, body: body && JSON.stringify(body) };
  const response = await fetch(`${server.url}/_ctc${path}`, options);
  assert.ok(response.ok, await response.clone().text());
  return response.status === 204 ? null : response.json();
}

for (const login of ["cookie", "oauth"]) {
  await control("POST", "/reset?all");
  const client = new Client(login);
  assert.equal((await client.get("/connect/services/devices")).status, 200);
  await control("POST", "/expire");
  const page = await (await client.get("/connect/services/devices")).json();
  assert.ok(page.response.results.length > 0);

  // A throttled login: 429 twice, then a token.
  const fault = { respond: { status: 429 } };
  await control("POST", "/faults", { on: "login", times: { n: 2 }, fault });
  assert.equal((await control("GET", "/faults")).length, 1);

  const counts = await control("GET", "/counts");
  assert.deepEqual([counts.logins, counts.violations], [2, 0]);
  console.log(`ok: ${login}: ${counts.calls} calls, ${counts.logins} logins`);
}
