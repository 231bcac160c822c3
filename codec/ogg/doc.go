// Package ogg reads and writes Ogg Opus files (RFC 7845).
//
//	r, err := ogg.NewReader(file)
//	...
//	for {
//		packet, err := r.NextPacket()
//		if err == io.EOF {
//			break
//		}
//		...
//	}
//
//	w, err := ogg.NewWriter(file, ogg.Config{})
//	...
//	err = w.WritePacket(packet)
//	...
//	err = w.Close()
//
// The pages are read and written here rather than with pion's packages
// because those do not hand out where packets of one page end, write a fixed
// pre-skip and one page per packet (28 bytes more each), and cannot say where
// a file is corrupt. Files that pion and the Opus tools write are read, and
// the other way round.
package ogg
