"""A program for the CTC API that knows its base URL but no credentials, with requests."""

import sys

import requests

base = sys.argv[1]
with requests.Session() as http:
    devices = http.get(f"{base}/connect/services/devices", params={"pg": 1, "pgsize": 5})
    devices.raise_for_status()
    assert len(devices.json()["response"]["results"]) == 5, devices.text

    note = http.post(f"{base}/connect/services/devices/1001/notes", data="from requests")
    assert note.status_code == 201, note.text

    # Streams, both ways.
    with http.get(f"{base}/connect/test/bytes/1000000", stream=True) as large:
        assert sum(len(piece) for piece in large.iter_content(10_000)) == 1_000_000
    pieces = (b"x" * 10_000 for _ in range(100))
    echo = http.post(f"{base}/connect/test/echo", data=pieces)
    assert echo.json()["bodyLength"] == 1_000_000, echo.text

    # A status of the server's is handed on as it is, and no token comes with anything.
    assert http.get(f"{base}/connect/test/forbidden").status_code == 403
    assert len(http.cookies) == 0, http.cookies
print("fine")
