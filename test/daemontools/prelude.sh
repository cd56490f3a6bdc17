# Read before every case. $bin comes first in PATH; the working directory is
# empty. Waiting is by condition, never by time alone.
umask 022
export LC_ALL=C
# try CMD...: until it succeeds, 20 s at most
try() { n=0; until "$@" >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 400 ] || { echo "GAVE UP: $*"; return 1; }; sleep 0.05; done; }
says() { svstat "$1" | grep -q "$2"; }
up() { try says "$1" ': up'; }
down() { try says "$1" ': down'; }
gone() { try sh -c "! svok $1"; }
has() { try grep -q "$2" "$1"; }
service() { mkdir -p "$1"; { echo '#!/bin/sh'; cat; } > "$1/run"; chmod 755 "$1/run"; }
show() { "$@"; echo "= $?"; }
killed=
end() { for p in $killed; do kill -9 $p 2>/dev/null; done; }
trap end EXIT
