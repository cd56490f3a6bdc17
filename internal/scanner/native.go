package scanner

import "encoding/binary"

// nativeUint32 reads a number of the kernel's, in the machine's byte order.
func nativeUint32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
