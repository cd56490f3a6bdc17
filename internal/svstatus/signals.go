package svstatus

import "bulkhead/internal/scan"

// signalNames are Linux's signals by number, which are the same on all
// architectures that Go knows except MIPS.
var signalNames = [...]string{1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE",
	9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD",
	18: "CONT", 19: "STOP", 20: "TSTP", 21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM",
	27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS"}

// SignalName gives "KILL" for 9, "" for numbers without a name.
func SignalName(n int) string {
	if n > 0 && n < len(signalNames) {
		return signalNames[n]
	}
	return ""
}

// ParseSignal reads a signal's number or its name with or without "SIG"; 0 if
// it is none.
func ParseSignal(s string) int {
	if n, used := scan.Number(s); used > 0 && used == len(s) && n > 0 && n <= 64 {
		return int(n)
	}
	if len(s) > 3 && s[:3] == "SIG" {
		s = s[3:]
	}
	for n, name := range signalNames {
		if s != "" && s == name {
			return n
		}
	}
	return 0
}
