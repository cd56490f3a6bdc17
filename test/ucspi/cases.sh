# cases.sh PROGRAMS TINYDNS: what the ucspi-tcp programs in the folder PROGRAMS
# say and do, as a transcript in which only process ids and ports are replaced.
# Run in a network namespace of its own, in an empty folder; TINYDNS is a folder
# with tinydns and tinydns-data, which play the name server.
set -u
B=$1 T=$2
PATH=$B:/usr/bin:/bin LC_ALL=C
export PATH LC_ALL
unset DNSREWRITEFILE LOCALDOMAIN PROTO UID GID 2>/dev/null
ip link set lo up
here=$PWD

mkdir dns && cd dns
cat > data <<D
.test:127.0.0.1
.in-addr.arpa:127.0.0.1
=Client.Test:127.0.0.2
^3.0.0.127.in-addr.arpa:liar.test
+liar.test:127.0.0.9
+server.test:127.0.0.1
+many.test:127.0.0.77
^4.0.0.127.in-addr.arpa:od\041d_\tn-ame.test
'2.0.0.127.rbl.test:Blocked - see http\072//rbl.test/\012\377
'5.0.0.127.rbl.test:$(printf 'x%.0s' $(seq 300))
+2.0.0.127.anti.test:127.0.0.2
D
"$T"/tinydns-data
mkdir ../empty
env ROOT="$here/dns" IP=127.0.0.1 UID=65534 GID=65534 "$T"/tinydns >/dev/null 2>&1 &
dns=$!
cd "$here"
chmod 755 . dns
DNSCACHEIP=127.0.0.1 DNSREWRITEFILE="$here/nothing"
export DNSCACHEIP DNSREWRITEFILE
: > nothing

norm() { sed -E 's/\b(pid|ok|deny|end) [0-9]+/\1 PID/; s/^[0-9]+ ([<>])/PID \1/; s/:[0-9]{4,5}\b/:PORT/g; s/(PORT=)[0-9]+/\1PORT/; s/port [0-9]{4,5}/port PORT/; s/^[0-9]{4,5}$/PORT/'; }
is() { echo "== $*"; }
code() { echo "code $?"; }

# server OPTIONS -- PROGRAM...: starts one on a free port; log in ./log
server() {
  opts=; while [ "$1" != -- ]; do opts="$opts $1"; shift; done; shift
  rm -f log fifo; mkfifo fifo
  # shellcheck disable=SC2086
  tcpserver -1 $opts 127.0.0.1 0 "$@" >fifo 2>log &
  srv=$!
  read -r port < fifo
}
# finish: waits until all children have ended, ends the server, shows the log
finish() {
  for i in $(seq 100); do
    [ -z "$(cat /proc/$srv/task/*/children 2>/dev/null)" ] && break
    sleep 0.05
  done
  sleep 0.1
  kill -TERM $srv; wait $srv; code
  norm < log
}

is usage
for p in tcpserver tcpclient tcprules tcprulescheck argv0 recordio fixcrio rblsmtpd; do "$p" 2>&1; code; done
tcpserver -Z 2>&1; code
tcpserver -c 2>&1; code
tcpserver 0 0 2>&1; code
tcpclient -i x 0 0 true 2>&1; code
rblsmtpd -R true 2>&1; code
argv0 cat 2>&1; code
tcprules a 2>&1; code

is rules
cat > rules <<'R'
# a comment
1.2.3.4:deny
1.2.3.:allow,A="x y",B='it"s',C=zazbz
1.2.3-5.:deny
10.1-3:allow,R="1"
10.250-999.:deny
10.9-8.:deny
-2.:allow
=host.test:allow,H="1"
=.test:deny
=:allow,ANY="1"
joe@1.2.3.9:allow,U="joe"
joe@=host.test:allow,U="both"
no colon here
  127.:deny
	
a-b@c:allow
=x-y:deny
127.0.0.1:allow,X="",X="2",Y="a:b"   	
:allow,D="default"
:deny
R
tcprules r.cdb r.tmp < rules; code
sha256sum < r.cdb
for c in 1.2.3.4 1.2.3.5 1.2.4.9 10.1 10.2 10.3.1 10.255.1.1 10.256.1.1 2.2.2.2 127.0.0.1 9.9.9.9 ''; do
  echo "-- ip $c"; TCPREMOTEIP=$c tcprulescheck r.cdb; code
done
for h in host.test x.test y.x.test other '' x-y; do
  echo "-- host $h"; TCPREMOTEIP=6.6.6.6 TCPREMOTEHOST=$h tcprulescheck r.cdb; code
  echo "-- joe, host $h"; TCPREMOTEIP=1.2.3.9 TCPREMOTEINFO=joe TCPREMOTEHOST=$h tcprulescheck r.cdb; code
done
env -u TCPREMOTEIP tcprulescheck r.cdb; code
: > none; tcprules e.cdb e.tmp < none; code; sha256sum < e.cdb; tcprulescheck e.cdb; code
printf '1.:deny' | tcprules n.cdb n.tmp; code; sha256sum < n.cdb

is rules that are wrong
for l in 'a:foo' '1.2.3.4:denyx' '1.2.3.4:allow,' '1.2.3.4:allow,X' '1.2.3.4:allow,X=' '1.2.3.4:allow,X="a' '1.2.3.4:allow,X="a"b' \
  '1-x.2:deny' 'x-1.2:deny' '=a:80:deny' '1.2.3.4 :deny' '1.2.3.4: deny' '1.2.3.4:DENY' ':' '::' '1-2-3.:deny' '1.2-3:allow,X="-"	'; do
  echo "-- $l"; rm -f w.cdb w.tmp
  printf '5.:deny\n%s\n' "$l" | tcprules w.cdb w.tmp 2>&1; code
  [ -e w.cdb ] && { sha256sum < w.cdb; rm w.cdb; }
  [ -e w.tmp ] && echo w.tmp left
done
tcprules /nonexistent/x ./x.tmp < none 2>&1; code
tcprules x.cdb /nonexistent/x < none 2>&1; code
tcprules x.cdb x.tmp < . 2>&1; code
tcprules dns x.tmp < none 2>&1; code

is a database that is not
tcprulescheck nonexistent 2>&1; code
tcprulescheck none 2>&1; code
head -c 100 r.cdb > short; tcprulescheck short 2>&1; code
head -c 3000 /dev/zero | tr '\0' x > bad; tcprulescheck bad 2>&1; code

is environment
cat > show <<'S'
#!/bin/sh
env | grep -E '^(PROTO|TCP|FOO|X|Y|D=)' | grep -v -E '^TCP6' | sort
S
chmod 755 show
server -v -RHl0 -- ./show
TCPREMOTEHOST=inherited TCPREMOTEINFO=inherited tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6' | norm
finish
is environment of the client
server -v -RHlname -- cat
TCPREMOTEHOST=inherited TCPREMOTEINFO=inherited tcpclient -RHlme 127.0.0.1 $port ./show | norm
finish

is names
server -v -Rl0 -- ./show
for a in 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.6; do echo "-- $a"; tcpclient -RHl0 -i $a 127.0.0.1 $port sh -c 'cat <&6' | norm; done
finish
is names, paranoid
server -v -pRl0 -- ./show
for a in 127.0.0.2 127.0.0.3; do echo "-- $a"; tcpclient -RHl0 -i $a 127.0.0.1 $port sh -c 'cat <&6' | norm; done
finish
is names at the client
server -Rl0H -- cat
tcpclient -Rv server.test $port ./show 2>&1 | norm
finish

is rules in the server
server -v -RHl0 -x r.cdb -- ./show
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6' | norm
finish
printf '127.0.0.1:deny\n=client.test:allow,FOO="known"\n:allow\n' | tcprules s.cdb s.tmp
server -v -Rl0 -x s.cdb -- ./show
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6' | norm
tcpclient -RHl0 -i 127.0.0.2 127.0.0.1 $port sh -c 'cat <&6' | norm
printf '127.0.0.1:allow,FOO="new"\n' | tcprules s.cdb s.tmp
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6' | norm
finish
for x in "-x nonexistent" "-X -x nonexistent" "-x bad" "-x none"; do
  is server $x
  server -v -RHl0 $x -- ./show
  tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6' | norm
  finish
done

is banner
server -v -RHl0 -Bhello -x s.cdb -- echo program
printf '127.0.0.1:deny\n' | tcprules s.cdb s.tmp
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'; echo
finish

is exit codes in the log
server -v -RHl0 -- sh -c 'read x; exit $x'
for n in 0 3 111; do echo $n | tcpclient -RHl0 127.0.0.1 $port sh -c 'cat >&7; cat <&6'; sleep 0.2; done
finish
server -v -RHl0 -- sh -c 'kill -KILL $$'
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
finish

is programs that can not be run
for p in ./nonexistent nonexistent ./none . /; do
  server -v -RHl0 -- $p
  tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
  finish
done
tcpclient -RHl0 127.0.0.1 9 ./nonexistent 2>&1; code
argv0 ./nonexistent x 2>&1; code
argv0 nonexistent x 2>&1; code
argv0 sh my-own-name -c 'echo $0; tr "\0" " " < /proc/$$/cmdline'; code

is quiet
server -q -RHl0 -- ./nonexistent
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
finish
server -Q -RHl0 -- ./nonexistent
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
finish
tcpserver -q 127.0.0.1 nosuchport true 2>&1; code
tcpclient -q 127.0.0.1 1 true 2>&1; code

is limit
server -v -RHl0 -c 1 -- sh -c 'read x; echo got $x'
{ sleep 0.6; echo one; } | tcpclient -RHl0 127.0.0.1 $port sh -c 'cat >&7; cat <&6' > first &
sleep 0.2
echo two | tcpclient -RHl0 127.0.0.1 $port sh -c 'cat >&7; cat <&6' > second
wait $!
cat first second
finish

is startup errors
tcpserver 127.0.0.1 nosuchport true 2>&1; code
tcpserver nosuchhost.test 0 true 2>&1; code
tcpserver 1.2.3 0 true 2>&1; code
tcpserver 192.0.2.1 0 true 2>&1; code
server -RHl0 -- true
tcpserver 127.0.0.1 $port true 2>&1; code
finish
tcpclient 127.0.0.1 nosuchport true 2>&1; code
tcpclient nosuchhost.test 1 true 2>&1; code
tcpclient -RHl0 127.0.0.1 1 true 2>&1; code
tcpclient -RHl0 0 1 true 2>&1; code
tcpclient -RHl0 '[127.000.000.001]' 1 true 2>&1; code
tcpclient -RHl0 -i 192.0.2.7 127.0.0.1 1 true 2>&1; code
tcpclient -RHl0 127.0.0.1 1x true 2>&1; code
tcpclient -RHl0 "$(printf 'x%.0s' $(seq 64)).test" 1 true 2>&1; code

is addresses as arguments
for a in '[127.0.0.1]' 127.0.0.001 server.test; do
  rm -f fifo; mkfifo fifo; tcpserver -1RHl0 "$a" 0 echo served >fifo & srv=$!; read -r port < fifo
  tcpclient -v -RHl0 "$a" $port sh -c 'cat <&6' 2>&1 | norm
  kill $srv; wait $srv
done

is users
server -RHl0 -u 65533 -g 65532 -- sh -c 'id -u; id -g; id -G'
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
finish
UID=65531 GID=65530; export UID GID
server -RHl0 -U -- sh -c 'id -u; id -g; id -G'
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
finish
server -RHl0 -U -u 65533 -- sh -c 'id -u; id -g; id -G'
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
finish
unset UID GID

is descriptors and signals
server -RHl0 -- sh -c 'ls /proc/self/fd | wc -l; grep -E "SigBlk" /proc/self/status; ulimit -n; perl -e 1 2>/dev/null; dd if=/dev/zero bs=1 count=0 2>/dev/null; sh -c "kill -PIPE \$\$"; echo pipe $?'
ulimit -n 1000
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6'
tcpclient -RHl0 127.0.0.1 $port sh -c 'ls -l /proc/self/fd | grep -c socket; grep SigBlk /proc/self/status; sh -c "kill -PIPE \$\$"; echo pipe $?; ulimit -n; cat <&6 >/dev/null' 5</dev/null
finish

is recordio
cat > talk <<'S'
#!/bin/sh
read x; echo "you said $x"; printf 'no newline'
S
chmod 755 talk
# (the end of the input may come before the program ends, or not)
echo hello | recordio ./talk 2>rec | cat; echo; grep -v '< .EOF' rec | sort | norm
printf 'long%.0s' $(seq 100) | recordio cat 2>rec | cat > /dev/null; norm < rec | sort
recordio sh -c 'exit 7' </dev/null 2>/dev/null; code
recordio ./nonexistent 2>&1 </dev/null | grep -v EOF

is fixcrio
printf 'a\nb\r\nc\r\n\n\r\rx' | fixcrio od -An -c | cat
echo x | fixcrio sh -c 'cat >/dev/null; printf "1\n2\r\n3"' | cat > out; od -An -c out
fixcrio sh -c 'exit 4' < /dev/null; code

is addcr and delcr
printf 'a\nb\r\n\n' | addcr | od -An -c
printf 'a\r\nb\r\r\nc\rd\r' | delcr | od -An -c
printf '\r' | delcr | od -An -c
addcr </dev/null; code
delcr < . ; code

is rblsmtpd
R() { TCPREMOTEIP=$1; export TCPREMOTEIP; shift; rblsmtpd "$@" 2>&1 | norm; }
mail='HELO x\r\nMail from:<>\nrcpt to:<a>\r\nDATA\nnoop\nRSET x\n\nfoo\nehlo\nquit\nmore\n'
for o in "-rrbl.test" "-b -rrbl.test" "-b -B -rrbl.test" "-aanti.test -rrbl.test" "-rrbl.test -aanti.test" ""; do
  for ip in 127.0.0.2 127.0.0.5 127.0.0.6; do
    echo "-- $ip $o"; printf "$mail" | R $ip $o echo accepted
  done
done
echo "-- preset"
for v in '' '-no' 'later' '-'; do RBLSMTPD=$v; export RBLSMTPD; printf 'quit\n' | R 127.0.0.6 -rrbl.test echo accepted; done
unset RBLSMTPD
printf 'quit\n' | R 127.0.0.2 -t0 -rrbl.test echo accepted | od -An -c
R 127.0.0.2 -rrbl.test echo accepted </dev/null
R 127.0.0.6 ./nonexistent </dev/null
{ sleep 3; } | R 127.0.0.2 -t1 -rrbl.test echo accepted
env -u TCPREMOTEIP rblsmtpd -rrbl.test echo accepted </dev/null

is scripts
# some packages write the programs' paths into them
mkdir scripts
for s in tcpcat date@ who@ finger@ http@ mconnect; do sed 's,/usr/bin/,,g' "$B/$s" > scripts/$s; chmod 755 scripts/$s; done
PATH=$here/scripts:$PATH
serve1() { rm -f fifo; mkfifo fifo; tcpserver -1RHl0 127.0.0.1 "$1" sh -c "$2" >fifo 2>/dev/null & srv=$!; read -r port < fifo; }
serve1 8017 'printf "quote\r\n\001"'; tcpcat 127.0.0.1 8017 | od -An -c; kill $srv; wait $srv
serve1 17 'echo default'; tcpcat; tcpcat 0; kill $srv; wait $srv
serve1 13 'printf "today\r\n\001"'; date@ 127.0.0.1; code; kill $srv; wait $srv
serve1 11 'printf "me\r\n"'; who@; code; kill $srv; wait $srv
serve1 79 'read x; printf "%s\n" "$x" | od -An -c; printf "plan\r\n"'; finger@ 127.0.0.1 joe; finger@ 127.0.0.1; code; kill $srv; wait $srv
serve1 80 'while read x; do printf "%s\n" "$x" | od -An -c >> asked; [ "$x" = "$(printf "\r")" ] && break; done; printf "HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody\r\n\r\nmore\n"'
http@ 127.0.0.1 a/b; code; cat asked; rm asked; http@ 127.0.0.1; cat asked; kill $srv; wait $srv
serve1 25 'printf "220 hi\r\n"; read x; printf "%s\n" "$x" | od -An -c; printf "221 bye\r\n"'; { echo quit; sleep 0.3; } | mconnect 127.0.0.1; code; kill $srv; wait $srv

kill $dns
