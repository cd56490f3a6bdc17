l() { printf "$1" | tai64nlocal; echo "= $?"; }
l '@4000000037c219bf2ef02e94 mark\n'
l '@400000000000000a00000000\n'
l '@400000000000000900000000x\n'
l 'plain @4000000037c219bf2ef02e94\n'
l ' @4000000037c219bf2ef02e94\n'
l '@4000000037c219bf2ef02e94'
l '@4000000037c219bf3b9aca00 nano\n'
l '@4000000037c219bfffffffff x\n'
l '@004000000037c219bf2ef02e94 long\n'
l '@3fffffff0000000000000000 early\n'
l 'a\n@4000000037c219bf2ef02e94\n\n@4000000037c219bf2ef02e94 b'
for z in UTC JST-9 EST5EDT EST5EDT,M3.2.0,M11.1.0 EST5EDT4,M3.2.0/2,M11.1.0/2 '<+0330>-3:30' CET-1CEST,M3.5.0,M10.5.0/3 NZST-12NZDT,M9.5.0,M4.1.0/3 ABC-5:45:30 X5 '' ':JST-9' AEST-10AEDT,J275,J95 'IST-2IDT,M3.4.4/26,M10.5.0' XXX3YYY,45/3,300 foo/bar ABC; do
  for s in 4000000037c219bf 4000000038700000 4000000065e00000 4000000066a00000 400000006541b000; do printf "@${s}00000001 $z\n" | TZ=$z tai64nlocal; done
done
show sh -c 'tai64nlocal < /'; show sh -c 'echo a | tai64nlocal > /dev/full'
