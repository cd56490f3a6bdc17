package ucspi

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/child"
)

func TestParseIdent(t *testing.T) {
	for in, want := range map[string]string{
		"1 , 2 : USERID : UNIX : joe\r": "joe", "1,2:ERROR:NO-USER": "", "": "", "1,2:USERID:UNIX:a b\tc:d": "abc:d",
		"1,2:USERID:UNIX:": "", "1,2:USERID:UNIX:" + strings.Repeat("x", 400): strings.Repeat("x", maxInfo),
	} {
		if got := ParseIdent([]byte(in)); got.Value != want {
			t.Errorf("%q: %+v", in, got)
		}
	}
	if ParseIdent([]byte("1,2:ERROR:NO-USER")).Known || !ParseIdent([]byte("1,2:USERID:UNIX:")).Known {
		t.Error("known and empty is not unknown")
	}
}

func TestEdits(t *testing.T) {
	c := Conn{Local: netip.MustParseAddrPort("192.0.2.1:25"), Remote: netip.MustParseAddrPort("192.0.2.2:40000"), LocalHost: Known("me")}
	env := child.Environ([]string{"TCPREMOTEHOST=old", "A=b"}, c.Edits(true))
	all := "\n" + strings.Join(env, "\n") + "\n"
	for _, want := range []string{"PROTO=TCP", "TCPLOCALIP=192.0.2.1", "TCPLOCALPORT=25", "TCPLOCALHOST=me", "TCPREMOTEIP=192.0.2.2", "TCPREMOTEPORT=40000", "TCP6REMOTEIP=::ffff:192.0.2.2", "A=b"} {
		if !strings.Contains(all, "\n"+want+"\n") {
			t.Errorf("no %s in %q", want, all)
		}
	}
	if strings.Contains(all, "TCPREMOTEHOST") || strings.Contains(all, "TCPREMOTEINFO") {
		t.Errorf("unknown values are set: %q", all)
	}
	c = Conn{Local: netip.MustParseAddrPort("[fe80::1]:25"), Remote: netip.MustParseAddrPort("[fe80::2]:40000"), V6: true, Interface: "eth0"}
	all = strings.Join(child.Environ(nil, c.Edits(true)), " ")
	for _, want := range []string{"PROTO=TCP6", "TCPREMOTEIP=fe80::2", "TCP6INTERFACE=eth0"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %q", want, all)
		}
	}
}

func TestPort(t *testing.T) {
	for in, want := range map[string]uint16{"": 0, "0": 0, "53": 53, "65537": 1} {
		if got, ok := Port(in); !ok || got != want {
			t.Errorf("%q: %d, %v", in, got, ok)
		}
	}
	for _, bad := range []string{"no-such-service", "53x", "-1"} {
		if _, ok := Port(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	fd, err := Dial(netip.AddrPort{}, addr, 10*time.Second)
	if err != nil || fd < 0 {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Dial(netip.AddrPort{}, addr, 10*time.Second); err == nil {
		t.Error("connected to nobody")
	}
	var bind *BindError
	if _, err := Dial(netip.MustParseAddrPort("192.0.2.77:0"), addr, time.Second); err == nil || !asBind(err, &bind) {
		t.Errorf("an address of others: %v", err)
	}
}

func asBind(err error, to **BindError) bool {
	b, ok := err.(*BindError)
	*to = b
	return ok
}
