#!/bin/sh
# The OAuth login and a call with curl, for ctc-server with its default account.
#
#     ctc-server --login oauth --port 8080 --token-port 8081 &
#     sh client.sh http://127.0.0.1:8080 http://127.0.0.1:8081/oauth2/test/v1/token
set -eu

url=$1
token_url=$2
key='calamp-services-app: 00000000-0000-4000-8000-00000000c7c0'

curl() { command curl --silent --show-error --fail --noproxy '*' "$@"; }

curl -X POST "$url/_ctc/reset?all"

# Encode every field: an unencoded + would be a space, and the login one of
# another user.
body=$(curl "$token_url" \
  --data-urlencode 'grant_type=password' \
  --data-urlencode 'client_id=0oatest0client0id000' \
  --data-urlencode 'scope=openid' \
  --data-urlencode 'username=fleet+test@example.com' \
  --data-urlencode 'password=Tr+ck%41 &=?#;"/\é€🚚!')
token=$(printf '%s' "$body" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

curl -H "Authorization: Bearer $token" -H "$key" \
  "$url/connect/services/devices?pgsize=1" >/dev/null

# A scripted fault: the next call gets a 503.
curl -X POST "$url/_ctc/faults" \
  -d '{"on": "any_call", "fault": {"respond": {"status": 503}}}' >/dev/null
status=$(command curl --silent --noproxy '*' --output /dev/null \
  --write-out '%{http_code}' \
  -H "Authorization: Bearer $token" -H "$key" "$url/connect/services/devices")
test "$status" = 503

counts=$(curl "$url/_ctc/counts")
case $counts in
*'"logins":1,'*'"violations":0,'*) echo "ok: $counts" ;;
*) echo "not as it should be: $counts" >&2; exit 1 ;;
esac
