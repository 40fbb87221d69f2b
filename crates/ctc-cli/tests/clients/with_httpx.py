"""A program for the CTC API that knows its base URL but no credentials, with httpx, asynchronous."""

import asyncio
import sys

import httpx


async def pieces():
    for _ in range(100):
        yield b"x" * 10_000


async def main():
    async with httpx.AsyncClient(base_url=sys.argv[1], timeout=60) as http:
        calls = [
            http.get("/connect/services/devices", params={"pg": page, "pgsize": 5})
            for page in (1, 2, 3)
        ]
        for devices in await asyncio.gather(*calls):
            devices.raise_for_status()
            assert len(devices.json()["response"]["results"]) == 5, devices.text

        note = await http.post("/connect/services/devices/1001/notes", content="from httpx")
        assert note.status_code == 201, note.text

        length = 0
        async with http.stream("GET", "/connect/test/bytes/1000000") as large:
            async for piece in large.aiter_bytes():
                length += len(piece)
        assert length == 1_000_000, length
        echo = await http.post("/connect/test/echo", content=pieces())
        assert echo.json()["bodyLength"] == 1_000_000, echo.text

        assert (await http.get("/connect/test/forbidden")).status_code == 403
        assert len(http.cookies) == 0, http.cookies
    print("fine")


asyncio.run(main())
