show setuidgid daemon id -u
show setuidgid daemon id -g
show setuidgid daemon id -G
show setuidgid daemon sh -c 'grep -E "^(Uid|Gid|Groups)" /proc/self/status'
show setuidgid no-such-account id
show setuidgid 1 id
