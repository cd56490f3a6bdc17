package tsig

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

const now = int64(1800000000)

func key(t testing.TB, text string) *Key {
	t.Helper()
	k, err := ParseKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func message(id uint16, bits uint16, answers int) []byte {
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, id, bits)
	b.Question([]byte("\x03rpz\x00"), dns.TypeAXFR, dns.ClassIN)
	for i := range answers {
		b.RR(wire.Answer, []byte("\x01a\x03rpz\x00"), dns.TypeA, dns.ClassIN, 300, []byte{192, 0, 2, byte(i)})
	}
	return bytes.Clone(b.Finish())
}

// answer signs as a server does, after the MAC before and what was not signed
// since.
func (k *Key) answer(msg, before, between []byte, first bool, at int64) (out, mac []byte) {
	h := hmac.New(k.new, k.secret)
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(before))))
	h.Write(before)
	h.Write(between)
	h.Write(msg)
	if first {
		h.Write(k.variables(nil, uint64(at), fudge, 0, nil))
	} else {
		h.Write(timers(nil, uint64(at), fudge))
	}
	mac = h.Sum(nil)
	return k.append(bytes.Clone(msg), mac, uint64(at), binary.BigEndian.Uint16(msg)), mac
}

func TestExchange(t *testing.T) {
	for _, alg := range []string{"hmac-sha256", "HMAC-SHA384", "hmac-sha512"} {
		k := key(t, "# of the provider\nRpz-Key.example "+alg+" c2VjcmV0IHNlY3JldA==\n")
		query, x := k.Sign(message(7, 0, 0), now)
		c, err := wire.Parse(query)
		if err != nil || c.Header.ARCount != 1 {
			t.Fatalf("%v, %d additional records", err, c.Header.ARCount)
		}
		reply := message(7, wire.BitQR, 3)
		one, mac := k.answer(reply, x.mac, nil, true, now+200)
		got, err := x.Check(bytes.Clone(one), now)
		if err != nil || !bytes.Equal(got, reply) || !x.Complete() {
			t.Fatalf("%s: %v", alg, err)
		}
		// then unsigned ones, then one that signs them all
		var between []byte
		for range maxUnsigned {
			m := message(7, wire.BitQR, 1)
			between = append(between, m...)
			if _, err := x.Check(m, now); err != nil || x.Complete() {
				t.Fatalf("%s: unsigned message: %v", alg, err)
			}
		}
		last, _ := k.answer(reply, mac, between, false, now)
		if _, err := x.Check(last, now); err != nil || !x.Complete() {
			t.Errorf("%s: last message: %v", alg, err)
		}
		for range maxUnsigned {
			x.Check(message(7, wire.BitQR, 1), now)
		}
		if _, err := x.Check(message(7, wire.BitQR, 1), now); err != ErrUnsigned {
			t.Errorf("a hundred unsigned messages: %v", err)
		}
	}
}

// Whatever bit is changed of a signed answer, it is refused; so are answers of
// another time, key, or question.
func TestRefused(t *testing.T) {
	k := key(t, "k hmac-sha256 c2VjcmV0")
	try := func(change func(m []byte) []byte, signer *Key, at int64) error {
		_, x := k.Sign(message(7, 0, 0), now)
		m, _ := signer.answer(message(7, wire.BitQR, 2), x.mac, nil, true, at)
		if change != nil {
			m = change(m)
		}
		_, err := x.Check(m, now)
		return err
	}
	if err := try(nil, k, now); err != nil {
		t.Fatal(err)
	}
	size := len(message(7, wire.BitQR, 2))
	full, _ := k.answer(message(7, wire.BitQR, 2), nil, nil, true, now)
	for i := range full {
		for bit := range 8 {
			same := try(func(m []byte) []byte { m[i] ^= 1 << bit; return m }, k, now) == nil
			// a server may give its answer another ID, and names any letter case
			id := i < 2
			letter := bit == 5 && i >= size && i < size+3+10+13 && full[i]|0x20 >= 'a' && full[i]|0x20 <= 'z'
			if same && !id && !letter {
				t.Errorf("byte %d of %d, bit %d changed: taken", i, len(full), bit)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		signer *Key
		at     int64
		want   error
	}{
		{"unsigned", func([]byte) []byte { return message(7, wire.BitQR, 2) }, k, now, ErrUnsigned},
		{"other name", nil, key(t, "j hmac-sha256 c2VjcmV0"), now, ErrKey},
		{"other algorithm", nil, key(t, "k hmac-sha512 c2VjcmV0"), now, ErrKey},
		{"other secret", nil, key(t, "k hmac-sha256 c2VjcmV1"), now, ErrMAC},
		{"too old", nil, k, now - fudge - 1, ErrTime},
		{"too new", nil, k, now + fudge + 1, ErrTime},
		{"just old enough", nil, k, now - fudge, nil},
		{"two records", func(m []byte) []byte { return k.append(m, make([]byte, 32), uint64(now), 7) }, k, now, errFormat},
	} {
		if err := try(c.change, c.signer, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// replayed: the answer to another question
	_, x := k.Sign(message(7, 0, 0), now)
	_, y := k.Sign(message(7, 0, 0), now+1)
	m, _ := k.answer(message(7, wire.BitQR, 2), x.mac, nil, true, now)
	if _, err := y.Check(m, now); err != ErrMAC {
		t.Errorf("replayed: %v", err)
	}
}

func TestParseKey(t *testing.T) {
	for _, bad := range []string{"", "# nothing", "k", "k hmac-sha256", "k hmac-md5 c2VjcmV0", "k hmac-sha256 ???", "k hmac-sha256 c2VjcmV0 x", "k hmac-sha256 c2VjcmV0\nj hmac-sha256 c2VjcmV0",
		string(make([]byte, maxKeyFile+1))} {
		if _, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func FuzzCheck(f *testing.F) {
	k := key(f, "k hmac-sha256 c2VjcmV0")
	_, x := k.Sign(message(7, 0, 0), now)
	good, _ := k.answer(message(7, wire.BitQR, 1), x.mac, nil, true, now)
	f.Add(bytes.Clone(good))
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, x := k.Sign(message(7, 0, 0), now)
		was := bytes.Clone(msg)
		if _, err := x.Check(msg, now); err == nil && !bytes.EqualFold(was[2:], good[2:]) {
			t.Fatalf("taken: %x", was)
		}
	})
}
