"""A client for both logins, and a test of it with ctc-server.

It needs only Python's standard library.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request


def request(method, url, headers=None, form=None):
    """Returns status, headers and body, whatever the status. Follows no redirect."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    asked = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with OPENER.open(asked, timeout=10) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as response:
        return response.code, response.headers, response.read()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


# No proxy either: the server is on this machine.
OPENER = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))


class Client:
    """Keeps one token, and logs in again after a 401: once for each call."""

    def __init__(self, server, login):
        self.server, self.login, self.token = server, login, None

    def log_in(self):
        server = self.server
        user = {"username": server["username"], "password": server["password"]}
        if self.login == "oauth":
            form = {"grant_type": "password", "scope": "openid"}
            form["client_id"] = server["client_id"]
            status, _, body = request("POST", server["token_url"], form=form | user)
            assert status == 200, (status, body)
            token = json.loads(body)["access_token"]
            self.token = {"Authorization": f"Bearer {token}"}
        else:
            url = server["url"] + "/connect/services/login?useAuthToken=true"
            key = {"calamp-services-app": server["app_key"]}
            status, headers, body = request("POST", url, key, user)
            assert status == 200, (status, body)
            lines = headers.get_all("Set-Cookie")
            line = next(line for line in lines if line.startswith("authToken="))
            self.token = {"Cookie": line.split(";")[0]}

    def get(self, path):
        for _ in range(2):
            if self.token is None:
                self.log_in()
            headers = self.token | {"calamp-services-app": self.server["app_key"]}
            status, _, body = request("GET", self.server["url"] + path, headers)
            if status != 401:
                return status, json.loads(body)
            self.token = None
        return status, None


def control(server, method, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    url = server["url"] + "/_ctc" + path
    asked = urllib.request.Request(url, data, method=method)
    with OPENER.open(asked, timeout=10) as response:
        text = response.read()
        return json.loads(text) if text else None


def test(server, login):
    control(server, "POST", "/reset?all")
    client = Client(server, login)
    assert client.get("/connect/services/devices")[0] == 200

    # The token expires: the client logs in again, once.
    control(server, "POST", "/lifetime?seconds=60")
    client.token = None
    control(server, "POST", "/expire")
    assert client.get("/connect/services/devices")[0] == 200
    control(server, "POST", "/advance?seconds=61")
    assert client.get("/connect/services/devices")[0] == 200

    # A scripted fault, which is listed and removed again.
    rule = {"on": "login", "times": "forever", "fault": {"respond": {"status": 503}}}
    number = control(server, "POST", "/faults", rule)["rule"]
    assert [rule["rule"] for rule in control(server, "GET", "/faults")] == [number]
    control(server, "DELETE", f"/faults/{number}")

    counts = control(server, "GET", "/counts")
    assert counts["logins"] == 3, counts
    assert counts["violations"] == 0, counts
    print(f"ok: {login}: {counts['calls']} calls, {counts['logins']} logins")


if __name__ == "__main__":
    for kind in ["cookie", "oauth"]:
        test(json.loads(os.environ["CTC_SERVER"]), kind)
    sys.exit(0)
