package zonefile

import (
	"strconv"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// AppendRecord appends rec as one line of a master file: absolute names, every
// field present, no parentheses, ended by a newline.
func AppendRecord(dst []byte, rec *Record) []byte {
	dst = append(dnsname.AppendMaster(dst, rec.Owner), '\t')
	dst = append(strconv.AppendUint(dst, uint64(rec.TTL), 10), '\t')
	dst = append(append(dst, rec.Class.String()...), '\t')
	dst = append(append(dst, rec.Type.String()...), '\t')
	dst = rdata.AppendText(dst, rec.Type, rec.Data)
	return append(dst, '\n')
}
