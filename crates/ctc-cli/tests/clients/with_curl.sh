#!/bin/sh
# A script for the CTC API that knows its base URL but no credentials, with curl.
set -eu
base=$1

curl --fail --silent --show-error "$base/connect/services/devices?pg=1&pgsize=5" | grep -q '"totalCount"'
curl --fail --silent --show-error --data 'from curl' "$base/connect/services/devices/1001/notes" \
    | grep -q 'from curl'
# Streams, both ways.
test "$(curl --fail --silent --show-error "$base/connect/test/bytes/1000000" | wc -c)" -eq 1000000
head -c 1000000 /dev/zero \
    | curl --fail --silent --show-error --header 'Transfer-Encoding: chunked' --data-binary @- \
        "$base/connect/test/echo" \
    | grep -q '"bodyLength":1000000'
# With a body of this size curl sends `Expect: 100-continue` first.
head -c 2000000 /dev/zero \
    | curl --fail --silent --show-error --request PUT --header 'Expect: 100-continue' \
        --data-binary @- "$base/connect/test/echo" \
    | grep -q '"bodyLength":2000000'
test "$(curl --silent --output /dev/null --write-out '%{http_code}' "$base/connect/test/forbidden")" = 403
# HTTP/2 from the first byte, if this curl can.
if curl --version | grep -q HTTP2; then
    curl --fail --silent --show-error --http2-prior-knowledge "$base/connect/services/devices" \
        | grep -q '"totalCount"'
fi
! curl --silent --dump-header - --output /dev/null "$base/connect/services/devices" \
    | grep -qi '^set-cookie'
echo fine
