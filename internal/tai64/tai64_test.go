package tai64

import (
	"testing"
	"time"
)

func TestText(t *testing.T) {
	// 1999-08-23 20:57:52.5 UTC less the 10 of the format: the manual's sample
	// label 4000000037c219bf2ef02e94 is 1999-08-23 21:03:43.787492500 UTC.
	at := time.Unix(0x37c219bf-10, 0x2ef02e94)
	if got := string(AppendText(nil, at)); got != "@4000000037c219bf2ef02e94" {
		t.Fatal(got)
	}
	if s := Seconds(time.Unix(0, 0)); s != 4611686018427387914 {
		t.Fatal(s)
	}
}
