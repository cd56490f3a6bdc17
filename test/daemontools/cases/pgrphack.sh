show pgrphack sh -c 'set -- $(cat /proc/self/stat); [ $5 = $$ ] || ps -o sid= -p $$ >/dev/null; cut -d" " -f6 /proc/$$/stat | grep -qx $$ && cut -d" " -f5 /proc/$$/stat | grep -qx $$ && echo leader'
show pgrphack nothing-of-this-name
