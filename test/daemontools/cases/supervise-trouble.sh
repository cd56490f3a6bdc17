mkdir m; rm -f err; supervise m 2>err & p=$!; killed=$p; has m/supervise/status .; sleep 2.3; svc -dx m; gone m; wait $p; echo "= $?"; sort -u err; [ $(wc -l < err) -ge 2 ] && [ $(wc -l < err) -le 8 ] && echo once a second
mkdir -p r/run; rm -f err; supervise r 2>err & p=$!; killed="$killed $p"; has err unable; svc -dx r; wait $p; sort -u err
service n </dev/null; chmod 644 n/run; rm -f err; supervise n 2>err & p=$!; killed="$killed $p"; has err unable; svc -dx n; wait $p; sort -u err
mkdir l; ln -s run l/run2; ln -s run2 l/run; rm -f err; supervise l 2>err & p=$!; killed="$killed $p"; has err unable; svc -dx l; wait $p; sort -u err
mkdir t; echo 'no program' > t/run; chmod 755 t/run; rm -f err; supervise t 2>err & p=$!; killed="$killed $p"; has err unable; svc -dx t; wait $p; sort -u err
mkdir i; echo '#!/no/such' > i/run; chmod 755 i/run; rm -f err; supervise i 2>err & p=$!; killed="$killed $p"; has err unable; svc -dx i; wait $p; sort -u err
mkdir -p x/supervise/lock; show supervise x; mkdir -p y; : > y/supervise; show supervise y; ln -s down z1; mkdir -p z; ln -s down z/down; show supervise z
mkdir q; ln -s target q/supervise; touch q/down; supervise q & p=$!; killed="$killed $p"; try svok q; ls -d q/target; svc -x q; wait $p
show svc -u m; mkdir v; show svc -u v; show svstat v; show svok v; mkdir -p w/supervise; mkfifo w/supervise/ok w/supervise/control; show svstat w; show svc -u w; show svok w
exec 9<>w/supervise/ok; show svok w; show svstat w; : > w/supervise/status; show svstat w; printf 12345678901234567 > w/supervise/status; show svstat w
printf '\100\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1d' > w/supervise/status; svstat w; touch w/down; svstat w; printf '\177\0\0\0\0\0\0\0\0\0\0\0\1\2\0\0\0d' > w/supervise/status; svstat w; printf '\177\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1uxxxxxxxxxxxxx' > w/supervise/status; svstat w
