# transfer.sh OURS: transfers between ours and named, nsd and knotd, both ways,
# in a network namespace of its own and an empty folder. PATH has the peers.
# Prints "ok WHAT" or "not ok WHAT" for each.
set -u
B=$1 here=$(pwd) src=$2
ip link set lo up
ip addr add 127.0.0.11/8 dev lo # named listens on addresses of interfaces only
chmod 755 .
pids=
trap 'kill $pids 2>/dev/null; wait' EXIT

result() { if [ "$1" = 0 ]; then echo "ok $2"; else echo "not ok $2"; fi; }
# zone ADDRESS ZONE FILE: the zone as dig reads it, in canonical order and form
zone() { dig +noall +answer +onesoa +nocrypto +time=5 +tries=1 @"$1" "$2" AXFR 2>/dev/null | grep -v '^;' | sed -E 's/[ \t]+/ /g' | LC_ALL=C sort > "$3"; }
# waitfor ADDRESS ZONE: until a server has the zone
waitfor() { for _ in $(seq 60); do dig +short +time=1 +tries=1 @"$1" "$2" SOA 2>/dev/null | grep -q . && return 0; sleep 0.1; done; echo "no $2 at $1"; return 1; }
bg() { "$@" >> servers.log 2>&1 & pids="$pids $!"; }

# --- theirs: primaries with a zone of every type ---------------------------
mkdir named nsd knot
cp "$src/every.zone" named/; cp "$src/every.zone" nsd/
# knotd knows fewer of the oldest types
grep -v -E " (X25|ISDN) " "$src/every.zone" > knot/every.zone
cat > named/named.conf <<C
options { directory "$here/named"; listen-on { 127.0.0.11; }; listen-on-v6 { none; }; pid-file none; recursion no;
  allow-transfer { any; }; dnssec-validation no; session-keyfile "$here/named/session.key"; notify no; };
zone "every.test" { type primary; file "every.zone"; check-names ignore; };
zone "ours.test" { type secondary; primaries { 127.0.0.20; }; file "ours.copy"; masterfile-format text; };
controls { };
C
cat > nsd/nsd.conf <<C
server:
  ip-address: 127.0.0.12
  username: ""
  zonesdir: "$here/nsd"
  database: ""
  xfrdfile: "$here/nsd/xfrd.state"
  xfrdir: "$here/nsd"
  zonelistfile: "$here/nsd/zone.list"
  pidfile: "$here/nsd/nsd.pid"
  verbosity: 2
remote-control:
  control-enable: no
zone:
  name: every.test
  zonefile: every.zone
  provide-xfr: 0.0.0.0/0 NOKEY
zone:
  name: ours.test
  zonefile: ours.copy
  request-xfr: 127.0.0.20 NOKEY
  allow-notify: 127.0.0.0/8 NOKEY
  provide-xfr: 0.0.0.0/0 NOKEY
C
cat > knot/knot.conf <<C
server:
  listen: 127.0.0.13@53
  rundir: "$here/knot"
database:
  storage: "$here/knot/db"
log:
  - target: stderr
    any: info
remote:
  - id: ours
    address: 127.0.0.20@53
acl:
  - id: all
    action: transfer
    address: 0.0.0.0/0
zone:
  - domain: every.test
    file: "$here/knot/every.zone"
    acl: all
  - domain: ours.test
    file: "$here/knot/ours.copy"
    master: ours
    acl: all
C

# --- ours: a primary --------------------------------------------------------
mkdir ours
cat > ours/data <<D
.ours.test:127.0.0.20:a:259200
&ours.test::ns.elsewhere.test
+www.ours.test:192.0.2.1:300
+www.ours.test:192.0.2.2:300
@ours.test:192.0.2.3:mail:10
&sub.ours.test:192.0.2.4:a
+below.sub.ours.test:192.0.2.5
Zsub.ours.test:a.ns.sub.ours.test:h.ours.test
Calias.ours.test:Www.Ours.Test
@*.wild.ours.test::mail.ours.test
'txt.ours.test:some text\072 and \000 bytes
:srv.ours.test:33:\000\001\000\002\000\003\003www\004ours\004test\000
:any.ours.test:65280:\001\002
^5.ours.test:www.ours.test
D
for i in $(seq 3000); do echo "+h$i.ours.test:10.0.$((i / 256)).$((i % 256)):60"; done >> ours/data
(cd ours && "$B/tinydns-data") || exit 1
bg env ROOT="$here/ours" IP=127.0.0.20 UID=65534 GID=65534 LOG=0 "$B/tinydns"
case ${3:-server} in
server) bg env ROOT="$here/ours" IP=127.0.0.20 UID=65534 GID=65534 AXFR=ours.test "$B/axfrdns" ;;
tcpserver)
  printf '127.:allow,AXFR="ours.test"\n:deny\n' | "$B/tcprules" rules.cdb rules.tmp
  bg env ROOT="$here/ours" UID=65534 GID=65534 "$B/tcpserver" -vDRHl0 -x rules.cdb -- 127.0.0.20 53 "$B/axfrdns" ;;
esac
waitfor 127.0.0.20 ours.test || exit 1
bg named -g -c "$here/named/named.conf"
bg nsd -d -c "$here/nsd/nsd.conf"
bg knotd -c "$here/knot/knot.conf"

zone 127.0.0.20 ours.test ours.want
[ "$(wc -l < ours.want)" = 3016 ]; result $? "dig reads ours"
kdig @127.0.0.20 ours.test AXFR +noall +answer 2>/dev/null | grep -c -v -e '^;' -e '^$' > kdig.count
[ "$(cat kdig.count)" = 3017 ]; result $? "kdig reads ours"
drill @127.0.0.20 ours.test AXFR > drill.out 2>&1; [ "$(grep -c -v -e '^;' -e '^$' drill.out)" = 3017 ]; result $? "drill reads ours"
dig +short @127.0.0.20 +tcp +keepopen h5.ours.test h6.ours.test A 2>/dev/null | tr '\n' ' ' | grep -q '10.0.0.5 10.0.0.6'; result $? "dig asks over TCP"
dig @127.0.0.20 +tcp other.test AXFR 2>&1 | grep -q -i 'failed'; result $? "dig is refused a foreign zone"
dig @127.0.0.20 +tcp ours.test IXFR=1 +noall +answer 2>/dev/null | grep -c . > ixfr.count; [ "$(cat ixfr.count)" = 3017 ]; result $? "dig gets IXFR in full"

for s in named:127.0.0.11 nsd:127.0.0.12 knotd:127.0.0.13; do
  a=${s#*:} n=${s%:*}
  waitfor $a ours.test && zone $a ours.test got.$n
  # some of them turn names in record data into lower case
  tr A-Z a-z < ours.want > w; tr A-Z a-z < got.$n > g
  cmp -s w g; result $? "$n has our zone"
done

# --- axfr-get from each, back into data, and out again ---------------------
for s in named:127.0.0.11 nsd:127.0.0.12 knotd:127.0.0.13; do
  a=${s#*:} n=${s%:*}
  waitfor $a every.test || { result 1 "axfr-get from $n"; continue; }
  zone $a every.test want.$n
  mkdir get.$n
  "$B/tcpclient" -RHl0 $a 53 "$B/axfr-get" every.test get.$n/data get.$n/tmp; result $? "axfr-get from $n"
  "$B/axfr-get" every.test get.$n/again get.$n/tmp $a && cmp -s get.$n/data get.$n/again; result $? "axfr-get by itself from $n"
  before=$(stat -c %i get.$n/data)
  "$B/tcpclient" -RHl0 $a 53 "$B/axfr-get" every.test get.$n/data get.$n/tmp; [ "$before" = "$(stat -c %i get.$n/data)" ]; result $? "axfr-get from $n again: same serial, nothing touched"
  (cd get.$n && "$B/tinydns-data"); result $? "tinydns-data reads what came from $n"
  chmod 755 get.$n
  env ROOT="$here/get.$n" IP=127.0.0.21 UID=65534 GID=65534 AXFR=every.test "$B/axfrdns" >> servers.log 2>&1 & p=$!
  for _ in $(seq 50); do zone 127.0.0.21 every.test back.$n; [ -s back.$n ] && break; sleep 0.1; done
  # names in the data of old types come back in lower case (compat: djbdns.md section 7)
  lower() { awk '$4 ~ /^(SOA|NS|CNAME|PTR|MX)$/ { print tolower($0); next } { print }' "$1" | sed 's/ in \(soa\|ns\|cname\|ptr\|mx\) / IN \1 /' | LC_ALL=C sort; }
  lower want.$n > w; lower back.$n > b
  cmp -s w b; r=$?; [ $r = 0 ] || diff w b | head -20
  [ "$(wc -l < w)" -gt 60 ]; result $((r + $?)) "every type from $n survives"
  kill $p; wait $p
done

# --- a transfer that breaks off leaves the old file -------------------------
echo old > keep
printf '#!/bin/sh\nexec head -c 3000\n' > cutter; chmod 755 cutter
"$B/tcpclient" -RHl0 127.0.0.11 53 sh -c '
  head -c 3000 <&6 | "$0"/axfr-get every.test keep keep.tmp 6<&0' "$B" 2>err; c=$?
[ $c = 111 ] && [ "$(cat keep)" = old ] && grep -q '^axfr-get: fatal: unable to parse AXFR results: protocol error' err; result $? "a broken transfer leaves the old file"
