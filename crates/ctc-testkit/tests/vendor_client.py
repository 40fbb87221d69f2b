#!/usr/bin/env python3
"""The client of the vendor's page, as it stands there, against a ctc-server with its default account.

    ctc-server --port 8080 &
    python3 vendor_client.py http://127.0.0.1:8080 [certificate.pem]

Needs the `requests` package. Ends with 1 if anything is not as it should be.
"""

import sys

import requests

USERNAME = "fleet+test@example.com"
PASSWORD = "Tr+ck%41 &=?#;\"/\\é€🚚!"
APP_KEY = "00000000-0000-4000-8000-00000000c7c0"

failures = 0


def check(what, found, wanted):
    global failures
    if found != wanted:
        failures += 1
        print(f"FAILED {what}: {found!r}, not {wanted!r}")
    else:
        print(f"ok     {what}")


def main():
    base = sys.argv[1].rstrip("/")
    verify = sys.argv[2] if len(sys.argv) > 2 else True
    requests.post(f"{base}/_ctc/revoke", verify=verify)
    requests.post(f"{base}/_ctc/reset", verify=verify)

    # The login, word for word.
    URL = f"{base}/connect/services/login?useAuthToken=true"
    header = {'Content-Type'       : 'application/x-www-form-urlencoded',
              'calamp-services-app': APP_KEY
             }
    body = {'username': USERNAME,
            'password': PASSWORD
           }
    login = requests.post(URL, headers=header, data=body, verify=verify)
    check("the login's status", login.status_code, 200)
    token = login.cookies.get('authToken')
    check("a cookie with a token", bool(token), True)

    # The header for later calls, word for word.
    header = {             'Accept':'application/json;charset=UTF-8',
              'calamp-services-app':APP_KEY,
              'Cookie':f'authToken={token}'
             }
    for page in (1, 2, 3):
        devices = requests.get(f"{base}/connect/services/devices", params={"pg": page}, headers=header, verify=verify)
        check(f"page {page}", devices.status_code, 200)
    check("devices on page 3", len(devices.json()["response"]["results"]), 5)

    counts = requests.get(f"{base}/_ctc/counts", verify=verify).json()
    wanted = {"logins": 1, "calls": 3, "unauthorized": 0, "violations": 0, "needless_logins": 0, "live_tokens": 1}
    check("the server's counts", {name: counts[name] for name in wanted}, wanted)

    # A token that was invalidated gets a 401; one login replaces it.
    requests.post(f"{base}/_ctc/revoke", verify=verify)
    url = f"{base}/connect/services/devices/1001"
    check("a call with the dead token", requests.get(url, headers=header, verify=verify).status_code, 401)
    login = requests.post(URL, headers={'Content-Type': 'application/x-www-form-urlencoded',
                                        'calamp-services-app': APP_KEY}, data=body, verify=verify)
    header['Cookie'] = f"authToken={login.cookies.get('authToken')}"
    check("a call with the new token", requests.get(url, headers=header, verify=verify).status_code, 200)
    counts = requests.get(f"{base}/_ctc/counts", verify=verify).json()
    wanted = {"logins": 2, "calls": 5, "unauthorized": 1, "violations": 0, "needless_logins": 0, "live_tokens": 1}
    check("the server's counts", {name: counts[name] for name in wanted}, wanted)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
