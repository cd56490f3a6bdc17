# rpz.sh OURS: a policy zone from named through rpz-get into dnscache, in a
# network namespace of its own and an empty folder. PATH has the peers. Prints
# "ok WHAT" or "not ok WHAT" for each.
set -u
B=$1 here=$(pwd)
ip link set lo up
ip addr add 127.0.0.11/8 dev lo # named listens on addresses of interfaces only
pids=
trap 'kill $pids 2>/dev/null; wait' EXIT
result() { if [ "$1" = 0 ]; then echo "ok $2"; else echo "not ok $2"; fi; }
bg() { "$@" & pids="$pids $!"; }
ask() { dig +time=2 +tries=1 @127.0.0.30 "$1" A 2>/dev/null | awk '/status:/ { sub(",", "", $6); s = $6 } $4 == "A" { a = " " $5 } END { print s a }'; }
# until WHAT COMMAND...: within 30 s
until_() { n=0; while [ $n -lt 150 ]; do "$@" && return 0; n=$((n + 1)); sleep 0.2; done; return 1; }
answers() { [ "$(ask "$1")" = "$2" ]; }
serves() { dig +short +time=1 +tries=1 @127.0.0.11 rpz.test SOA 2>/dev/null | grep -q " $1 3600 "; }
# policy SERIAL RULE...: named serves this
policy() {
  s=$1; shift
  { printf '$TTL 300\n@ SOA ns.rpz.test. h.rpz.test. %s 3600 900 604800 300\n@ NS localhost.\n' "$s"; printf '%s\n' "$@"; } > named/t
  mv named/t named/rpz.zone
  [ "$s" = 1 ] || kill -HUP $named
}

mkdir named ours cache cache/servers cache/ip cache/rpz
cat > named/named.conf <<C
options { directory "$here/named"; listen-on { 127.0.0.11; }; listen-on-v6 { none; }; pid-file none; recursion no;
  allow-transfer { any; }; dnssec-validation no; session-keyfile "$here/named/session.key"; notify no; };
zone "rpz.test" { type primary; file "rpz.zone"; ixfr-from-differences yes; check-names ignore; };
key "rpz-key.test" { algorithm hmac-sha256; secret "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="; };
key "long-key" { algorithm hmac-sha512; secret "b3RoZXI="; };
zone "keyed.test" { type primary; file "keyed.zone"; check-names ignore; allow-transfer { key "rpz-key.test"; key "long-key"; }; };
controls { };
C
# large enough for several messages
{ printf '$TTL 300\n@ SOA ns h 1 3600 900 604800 300\n@ NS localhost.\n'; i=0; while [ $i -lt 3000 ]; do echo "a-rather-long-name-to-fill-the-messages-$i CNAME ."; i=$((i + 1)); done; } > named/keyed.zone
policy 1 'bad.test CNAME .' 'local.test A 192.0.2.99' '32.7.2.0.192.rpz-ip CNAME *.'
named -g -c "$here/named/named.conf" >> servers.log 2>&1 & named=$! pids="$pids $!"
printf '.:127.0.0.20:a\n+bad.test:192.0.2.1\n+worse.test:192.0.2.2\n+local.test:192.0.2.3\n+seven.test:192.0.2.7\n' > ours/data
(cd ours && "$B/tinydns-data") || exit 1
bg env ROOT="$here/ours" IP=127.0.0.20 UID=65534 GID=65534 LOG=0 "$B/tinydns" 2>> servers.log
echo 127.0.0.20 > cache/servers/@; : > cache/ip/127.0.0.1
chown 65532 cache/rpz
env ROOT="$here/cache" IP=127.0.0.30 IPSEND=0.0.0.0 CACHESIZE=1000000 VALIDATE=0 UID=65533 GID=65533 "$B/dnscache" < /dev/null 2> cache.log & cache=$! pids="$pids $!"
until_ serves 1 || exit 1
until_ answers bad.test "NOERROR 192.0.2.1"; result $? "without policy"

# another uid than the cache's owns the folder
get() { setpriv --reuid 65532 --regid 65532 --clear-groups "$B/rpz-get" "$@"; }
get cache/rpz/10-rpz.test 127.0.0.11 2> once.log; result $? "rpz-get"
grep -q 'serial 1, 3 rules (whole zone)' once.log; result $? "rpz-get says what came"
until_ answers bad.test NXDOMAIN; result $? "dnscache applies it by itself"
answers local.test "NOERROR 192.0.2.99" && answers seven.test NOERROR && answers worse.test "NOERROR 192.0.2.2"; result $? "every rule and no more"
before=$(stat -c %i cache/rpz/10-rpz.test)
get cache/rpz/10-rpz.test 127.0.0.11 && [ "$before" = "$(stat -c %i cache/rpz/10-rpz.test)" ]; result $? "same serial: nothing touched"

# signed transfers (TSIG)
echo 'rpz-key.test hmac-sha256 c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ==' > good.key
echo 'Long-Key HMAC-SHA512 b3RoZXI=' > long.key
echo 'rpz-key.test hmac-sha256 b3RoZXI=' > wrong.key
echo 'no-such-key hmac-sha256 b3RoZXI=' > none.key
mkdir keyed
chown 65532 keyed
for k in good long; do
  get -k $k.key keyed/10-keyed.test 127.0.0.11 2> key.log && grep -q ', 3000 rules' key.log; result $? "transfer with the $k key"
  rm -f keyed/10-keyed.test
done
get keyed/10-keyed.test 127.0.0.11 2> key.log; [ $? = 111 ] && [ ! -e keyed/10-keyed.test ]; result $? "refused without a key"
get -k wrong.key keyed/10-keyed.test 127.0.0.11 2> key.log; [ $? = 111 ] && grep -q 'BADSIG' key.log; result $? "a wrong secret is told"
get -k none.key keyed/10-keyed.test 127.0.0.11 2> key.log; [ $? = 111 ] && grep -q 'BADKEY' key.log; result $? "an unknown key is told"

# as a service
setpriv --reuid 65532 --regid 65532 --clear-groups "$B/rpz-get" -d cache/rpz/10-rpz.test 127.0.0.11 2> get.log & get=$! pids="$pids $!"
until_ grep -q starting get.log || exit 1
policy 2 'worse.test CNAME .' 'local.test A 192.0.2.99' '32.7.2.0.192.rpz-ip CNAME *.'
until_ serves 2 || exit 1
kill -HUP $get
until_ grep -q 'serial 2, 3 rules (changes)' get.log; result $? "changes by IXFR"
until_ answers worse.test NXDOMAIN && until_ answers bad.test "NOERROR 192.0.2.1"; result $? "dnscache follows"

# a damaged file
{ head -3 cache/rpz/10-rpz.test; echo 'broken.test A 1.2.3'; } > cache/rpz/.x && cp cache/rpz/10-rpz.test keep && mv cache/rpz/.x cache/rpz/10-rpz.test
until_ grep -q 'warning: policy not changed: unable to read policy: rpz/10-rpz.test:4: ' cache.log; result $? "dnscache names file, line and reason"
sleep 2
[ "$(grep -c 'policy not changed' cache.log)" = 1 ]; result $? "once"
answers worse.test NXDOMAIN; result $? "the old policy stays"
cp keep cache/rpz/.x && chown 65532 cache/rpz/.x && mv cache/rpz/.x cache/rpz/10-rpz.test

# a zone that dnscache could not read never gets so far
policy 3 '99.7.2.0.192.rpz-ip CNAME .'
until_ serves 3 || exit 1
get cache/rpz/10-rpz.test 127.0.0.11 2> bad.log; c=$?
[ $c = 111 ] && grep -q '^rpz-get: fatal: zone is not usable: ' bad.log; result $? "rpz-get refuses what is no policy"
cmp -s keep cache/rpz/10-rpz.test; result $? "and leaves the file"
kill -HUP $get
until_ grep -q '^rpz-get: warning: zone is not usable: ' get.log && kill -0 $get; result $? "the service goes on"

# the server goes away
kill $named; wait $named
get cache/rpz/10-rpz.test 127.0.0.11 2> gone.log; c=$?
[ $c = 111 ] && cmp -s keep cache/rpz/10-rpz.test && answers worse.test NXDOMAIN; result $? "without its server the file stays"
rm cache/rpz/10-rpz.test
until_ answers worse.test "NOERROR 192.0.2.2" && kill -0 $cache; result $? "no file, no policy"
