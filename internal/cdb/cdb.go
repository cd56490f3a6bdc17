// Package cdb reads and makes constant databases (compat: djbdns.md section
// 3; docs/format-cdb.md). All integers are little endian: a header of 256 pairs
// (position, slots), the records in insertion order, then 256 hash tables. The
// same input always gives the same bytes.
//
// A database that would exceed 4 GiB takes the 64-bit form by itself:
//
//	classic   0  256 x (u32 position of table, u32 slots)
//	       2048  records: u32 key length, u32 data length, key, data
//	             256 tables of slots (u32 hash, u32 position of record)
//
//	64-bit    0  256 x (64, 0): no classic file has a table below 2048
//	       2048  records, as above
//	             256 tables of slots (u32 hash, u32 0, u64 position of record)
//	             256 x (u64 position of table, u64 slots)
//	             "cdb64\r\n\x00", u64 length of the whole file
//
// To a classic reader the 64-bit form holds nothing or is damaged; it never
// finds a wrong record. See reader.go and writer.go.
package cdb

import "errors"

// Sizes of the format, in bytes.
const (
	HeaderLen = 2048 // 256 tables x 8
	slotLen   = 8    // hash, position
	recordLen = 8    // key length, data length, before key and data
	tables    = 256

	slotLen64   = 16 // hash, zero, position
	headerLen64 = tables*16 + len(magic64) + 8
	magic64     = "cdb64\r\n\x00"
	mark64      = 64 // "position" of every table in the classic header of a 64-bit file

	maxClassic = 1<<32 - 1 // positions are 32 bits
)

// ErrFormat says that a file is no intact database.
var ErrFormat = errors.New("format error")

// ErrFull says that a record can not be expressed: a key or data of 4 GiB, in
// the words of compat: djbdns.md section 3.
var ErrFull = errors.New("out of memory")

// Hash is the format's hash function of a key.
func Hash[T ~string | ~[]byte](key T) uint32 {
	h := uint32(5381)
	for i := 0; i < len(key); i++ {
		h = (h<<5 + h) ^ uint32(key[i])
	}
	return h
}
