package codec

import "fmt"

// Opus packets that hold several frames (RFC 6716 section 3.2): what an encoder
// gave one by one put together, and taken apart again.

// maxFrameBytes is the most bytes that a frame has (RFC 6716 section 3.2.1).
const maxFrameBytes = 1275

// Joinable reports whether two packets can be put into one: they have the same
// configuration and number of channels, and are not longer than 120 ms together.
// Packets that are corrupt are not joinable.
func Joinable(a, b []byte) bool {
	n, err := PacketSamples(a)
	m, err2 := PacketSamples(b)
	return err == nil && err2 == nil && a[0]>>2 == b[0]>>2 && n+m <= MaxFrameSamples
}

// JoinPackets appends to dst one packet with the frames of all packets, which
// must be joinable (their configurations equal, 120 ms at most together), and
// returns it. Padding is left out. With room in dst it does not allocate; dst
// must not overlap the packets. Errors wrap ErrPacket, and dst is as it was.
func JoinPackets(dst []byte, packets ...[]byte) ([]byte, error) {
	var frames [48][]byte
	n := 0
	for i, p := range packets {
		if i > 0 && len(p) > 0 && p[0]>>2 != packets[0][0]>>2 {
			return dst, fmt.Errorf("%w: packets of different configurations (TOC %#02x and %#02x) cannot be joined", ErrPacket, packets[0][0], p[0])
		}
		k, err := splitPacket(p, frames[n:])
		if err != nil {
			return dst, err
		}
		n += k
	}
	if n == 0 {
		return dst, fmt.Errorf("%w: nothing to join", ErrPacket)
	}
	toc := packets[0][0] &^ 3
	if n*ParseTOC(toc).FrameSamples > MaxFrameSamples {
		return dst, fmt.Errorf("%w: %d frames of %v are longer than 120 ms", ErrPacket, n, ParseTOC(toc).FrameDuration())
	}
	same := true
	for _, f := range frames[1:n] {
		same = same && len(f) == len(frames[0])
	}
	switch {
	case n == 1:
		dst = append(dst, toc)
	case n == 2 && same:
		dst = append(dst, toc|1)
	case n == 2:
		dst = appendLength(append(dst, toc|2), len(frames[0]))
	case same:
		dst = append(dst, toc|3, byte(n))
	default:
		dst = append(dst, toc|3, 1<<7|byte(n))
		for _, f := range frames[:n-1] {
			dst = appendLength(dst, len(f))
		}
	}
	for _, f := range frames[:n] {
		dst = append(dst, f...)
	}
	return dst, nil
}

// appendLength writes a frame's length (RFC 6716 section 3.2.1).
func appendLength(dst []byte, n int) []byte {
	if n < 252 {
		return append(dst, byte(n))
	}
	first := 252 + n&3
	return append(dst, byte(first), byte((n-first)>>2))
}

// SplitPacket appends to dst the frames of an Opus packet, without their TOC
// byte, and returns them; they are parts of packet. It checks all that RFC 6716
// section 3.4 demands (R1 to R7). Errors wrap ErrPacket.
func SplitPacket(dst [][]byte, packet []byte) ([][]byte, error) {
	var frames [48][]byte
	n, err := splitPacket(packet, frames[:])
	if err != nil {
		return dst, err
	}
	return append(dst, frames[:n]...), nil
}

func splitPacket(p []byte, frames [][]byte) (int, error) {
	n, err := PacketFrames(p)
	if err != nil {
		return 0, err
	}
	if n > len(frames) {
		return 0, fmt.Errorf("%w: more than 48 frames", ErrPacket)
	}
	rest := p[1:]
	var sizes [48]int
	vbr := false
	switch p[0] & 3 {
	case 2:
		vbr = true
	case 3:
		vbr = p[1]&0x80 != 0
		rest = rest[1:]
		if p[1]&0x40 != 0 {
			if rest, err = cutPadding(rest); err != nil {
				return 0, err
			}
		}
	}
	if vbr {
		for i := range n - 1 {
			size, k := readLength(rest)
			if k == 0 {
				return 0, fmt.Errorf("%w: cut off in the length of frame %d", ErrPacket, i)
			}
			sizes[i], rest = size, rest[k:]
		}
		last := len(rest)
		for _, s := range sizes[:n-1] {
			last -= s
		}
		sizes[n-1] = last
	} else {
		if len(rest)%n != 0 {
			return 0, fmt.Errorf("%w: %d bytes are not %d frames of equal length", ErrPacket, len(rest), n)
		}
		for i := range n {
			sizes[i] = len(rest) / n
		}
	}
	for i, size := range sizes[:n] {
		if size < 0 || size > len(rest) || size > maxFrameBytes {
			return 0, fmt.Errorf("%w: frame %d of %d has %d bytes", ErrPacket, i, n, size)
		}
		frames[i], rest = rest[:size], rest[size:]
	}
	return n, nil
}

// cutPadding takes the padding's length from the start of b, and the padding
// from its end.
func cutPadding(b []byte) ([]byte, error) {
	pad := 0
	for {
		if len(b) == 0 {
			return nil, fmt.Errorf("%w: cut off in the length of the padding", ErrPacket)
		}
		v := int(b[0])
		b = b[1:]
		if v < 255 {
			pad += v
			break
		}
		pad += 254
	}
	if pad > len(b) {
		return nil, fmt.Errorf("%w: %d bytes of padding in %d", ErrPacket, pad, len(b))
	}
	return b[:len(b)-pad], nil
}

// readLength reads a frame's length, and returns how many bytes it took: 0 if
// it is cut off.
func readLength(b []byte) (size, k int) {
	switch {
	case len(b) == 0:
		return 0, 0
	case b[0] < 252:
		return int(b[0]), 1
	case len(b) < 2:
		return 0, 0
	}
	return int(b[0]) + 4*int(b[1]), 2
}
