# beyond.sh PROGRAMS: what tcpserver does beyond 0.88. Prints "ok WHAT" or
# "not ok WHAT". Run in a network namespace of its own, in an empty folder.
set -u
B=$1
PATH=$B:/usr/bin:/bin
export PATH
ip link set lo up
ip -6 addr add 2001:db8::1/128 dev lo nodad
ip -6 addr add 2001:db8:1::2/128 dev lo nodad
is() { if [ "$1" = "$2" ]; then echo "ok $3"; else echo "not ok $3: got '$1', want '$2'"; fi; }
has() { if printf '%s' "$1" | grep -q -e "$2"; then echo "ok $3"; else echo "not ok $3: '$1' has no '$2'"; fi; }
server() { rm -f log fifo; mkfifo fifo; tcpserver -1 "$@" >fifo 2>log & srv=$!; read -r port < fifo; }
stop() { kill $srv; wait $srv; }
gone() { for _ in $(seq 200); do [ -z "$(cat /proc/$srv/task/*/children 2>/dev/null)" ] && return; sleep 0.05; done; }
get() { tcpclient -RHl0 "$@" sh -c 'cat <&6'; }

# IPv6
server -v -RHl0 ::1 0 sh -c 'echo $PROTO $TCPLOCALIP $TCPREMOTEIP $TCP6REMOTEIP'
is "$(get ::1 $port)" 'TCP6 ::1 ::1 ::1' 'an IPv6 client'
gone; has "$(cat log)" "^tcpserver: ok [0-9]* 0:::1:$port :::1::" 'the log shows IPv6 addresses'
stop
server -v -RHl0 0 0 sh -c 'echo $PROTO $TCPLOCALIP $TCPREMOTEIP $TCP6REMOTEIP'
is "$(get 127.0.0.1 $port)" 'TCP 127.0.0.1 127.0.0.1 ::ffff:127.0.0.1' 'an IPv4 client of an IPv6 socket'
is "$(get 2001:db8::1 $port)" 'TCP6 2001:db8::1 2001:db8::1 2001:db8::1' 'an IPv6 client of the same'
has "$(cat log)" 'from 127.0.0.1$' 'it is logged as IPv4'
stop
server -6 -RHl0 0 0 sh -c 'echo $PROTO $TCPREMOTEIP'
is "$(get 127.0.0.1 $port)" 'TCP6 ::ffff:127.0.0.1' '-6 shows mapped addresses'
stop
server -4 -RHl0 0 0 echo served
is "$(get 127.0.0.1 $port)$(get -q ::1 $port 2>/dev/null)" served '-4 has no IPv6'
stop
printf '2001:db8:1::/48:deny\n2001:db8:1::2:deny\n2001:db8::allow,R="text"\n::1:allow,R="one"\n127.0.0.0/30:allow,R="cidr"\n:allow,R="rest"\n' | tcprules r.cdb r.tmp
server -RHl0 -x r.cdb 0 0 sh -c 'echo $R'
is "$(get ::1 $port) $(get 127.0.0.1 $port) $(get -i 127.0.0.9 127.0.0.1 $port) $(get 2001:db8::1 $port)" 'one cidr rest text' 'rules for IPv6 and networks'
is "$(get -i 2001:db8:1::2 2001:db8::1 $port)" '' 'a denied IPv6 network'
stop

# connections per network
MAXCONNIP=2; export MAXCONNIP; : > in
server -v -RHl0 127.0.0.1 0 sh -c 'echo in; read x'
for i in 1 2; do tcpclient -RHl0 127.0.0.1 $port sh -c 'head -1 <&6; sleep 3' >> in & done
for _ in $(seq 200); do [ "$(wc -l < in)" = 2 ] && break; sleep 0.05; done
is "$(get 127.0.0.1 $port)" '' 'a third connection of one address'
is "$(tcpclient -i 127.0.0.2 -RHl0 127.0.0.1 $port sh -c 'head -1 <&6')" in 'another address has its own share'
has "$(cat log)" 'dropping connection, too many connections from 127.0.0.1/32' 'it is logged'
gone
is "$(tcpclient -RHl0 127.0.0.1 $port sh -c 'head -1 <&6')" in 'the share is given back'
stop
unset MAXCONNIP
printf '127.0.0.1:allow,MAXCONNIP="1"\n:allow\n' | tcprules l.cdb l.tmp
server -RHl0 -x l.cdb 127.0.0.1 0 sh -c 'echo in; read x'
tcpclient -RHl0 127.0.0.1 $port sh -c 'head -1 <&6; sleep 3' > in & c=$!
for _ in $(seq 200); do [ -s in ] && break; sleep 0.05; done
is "$(get 127.0.0.1 $port 2>/dev/null)" '' 'a limit in the rules'
wait $c; stop

# graceful end
GRACE=20; export GRACE
server -v -RHl0 127.0.0.1 0 sh -c 'sleep 1; echo done'
get 127.0.0.1 $port > out & c=$!
for _ in $(seq 200); do grep -q ' ok ' log && break; sleep 0.05; done
kill $srv
is "$(tcpclient -q -RHl0 127.0.0.1 $port true; echo $?)" 0 'a socket that is still there'
wait $srv; is $? 0 'exit code after TERM'
wait $c; is "$(cat out)" 'done' 'a connection finishes'
GRACE=0
server -RHl0 127.0.0.1 0 sh -c 'trap "echo told >&2; exit" TERM; echo up; sleep 5 & wait'
tcpclient -RHl0 127.0.0.1 $port sh -c 'cat <&6' > out & c=$!
for _ in $(seq 100); do [ -s out ] && break; sleep 0.05; done
kill $srv; wait $srv; wait $c
is "$(grep -v tcpserver log)" told 'after the grace connections are told to end'
unset GRACE

# PROXY header, version 2: 192.0.2.1 port 4660 to 192.0.2.2 port 53
header='\r\n\r\n\000\r\nQUIT\n\041\021\000\014\300\000\002\001\300\000\002\002\022\064\000\065'
PROXYFROM=127.0.0.1,10.0.0.0/8; export PROXYFROM
server -v -RHl0 127.0.0.1 0 sh -c 'echo $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALPORT; cat'
is "$({ printf "$header"; echo rest; } | tcpclient -RHl0 127.0.0.1 $port sh -c 'head -c 33 >&7; exec 7>&-; timeout 1 cat <&6')" '192.0.2.1 4660 192.0.2.2 53
rest' 'a PROXY header'
is "$(printf 'GET / HTTP/1.0 and more than sixteen bytes' | tcpclient -RHl0 127.0.0.1 $port sh -c 'cat >&7; cat <&6' 2>/dev/null)" '' 'a balancer without a header'
has "$(cat log)" 'unable to read PROXY header: protocol error' 'is dropped'
is "$(printf "$header" | tcpclient -i 127.0.0.2 -RHl0 127.0.0.1 $port sh -c 'cat >&7; head -1 <&6' | cut -d' ' -f1)" 127.0.0.2 'others are not believed'
stop; unset PROXYFROM

# a socket handed over
perl -e 'use Socket; $^F = 10; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1); bind(S, sockaddr_in(4712, inet_aton("127.0.0.1"))) or die; listen(S, 5);
  use POSIX; POSIX::dup2(fileno(S), 3); $ENV{LISTEN_FDS} = 1; $ENV{LISTEN_PID} = $$; exec "tcpserver", "-RHl0", "127.0.0.1", "1", "sh", "-c", "env | grep -c LISTEN_"' & srv=$!
for _ in $(seq 200); do tcpclient -q -RHl0 127.0.0.1 4712 true && break; sleep 0.05; done
is "$(get 127.0.0.1 4712)" 0 'LISTEN_FDS'
stop

# a client that does not read does not hold others up
server -RHl0 127.0.0.1 0 sh -c 'yes | head -c 20000000'
tcpclient -RHl0 127.0.0.1 $port sh -c 'sleep 2' & c=$!
sleep 0.2; is "$(get 127.0.0.1 $port | wc -c)" 20000000 'another client is served'
wait $c; gone; stop

# ident without a log: the server asks, nobody can tell
rm -f fifo; mkfifo fifo; tcpserver -1RHl0 127.0.0.1 113 sh -c 'read x; echo "1,2:USERID:UNIX:joe"' >fifo & ident=$!; read -r port < fifo
printf 'joe@127.0.0.1:allow,R="by ident"\n:deny\n' | tcprules i.cdb i.tmp
server -Hl0 -x i.cdb 127.0.0.1 0 sh -c 'echo $TCPREMOTEINFO $R'
is "$(get 127.0.0.1 $port)" 'joe by ident' 'ident and rules, without a log'
stop
server -v -Hl0 -x i.cdb 127.0.0.1 0 sh -c 'echo $TCPREMOTEINFO $R'
is "$(get 127.0.0.1 $port)" 'joe by ident' 'ident and rules, with a log'
stop; kill $ident; wait $ident

# a service of several names
rm -f fifo; mkfifo fifo; tcpserver -1RHl0 127.0.0.1 80 sh -c 'while read x; do case $x in Host:*) h=$x ;; "$(printf "\r")") break ;; esac; done; printf "HTTP/1.0 200 OK\r\n\r\n%s\n" "$h"' >fifo & srv=$!; read -r port < fifo
is "$(http@ 127.0.0.1 x)" 'Host: 127.0.0.1:80' 'http@ names the host'
stop
