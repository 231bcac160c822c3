package jitter

// OpusHasFEC tells whether an Opus packet carries in-band forward error
// correction (LBRR) for what came before it. The flag of the packet's first
// frame is the first bit after the voice-activity flags of the SILK layer, and
// these come first in the frame, as they are (RFC 6716 sections 4.2.3 and
// 4.2.4). It takes any bytes.
func OpusHasFEC(payload []byte) bool {
	if len(payload) == 0 {
		return false
	}
	toc := payload[0]
	config := toc >> 3
	at := opusFirstFrame(payload)
	if config >= 16 || at >= len(payload) { // CELT alone has none
		return false
	}
	frames := uint(1) // SILK frames in the Opus frame: 20 ms each
	if config < 12 {
		frames = [4]uint{1, 1, 2, 3}[config&3]
	}
	flags := payload[at]
	if flags>>(7-frames)&1 != 0 {
		return true
	}
	stereo := toc&4 != 0
	return stereo && flags>>(6-2*frames)&1 != 0
}

// opusFirstFrame is where the first frame of a packet starts (RFC 6716 section
// 3.2); beyond the packet's end if it is cut off.
func opusFirstFrame(p []byte) int {
	length := func(at int) int { // of the length at p[at]: section 3.2.1
		if at < len(p) && p[at] >= 252 {
			return 2
		}
		return 1
	}
	switch p[0] & 3 {
	case 0, 1:
		return 1
	case 2:
		return 1 + length(1)
	}
	if len(p) < 2 {
		return len(p)
	}
	at := 2
	if p[1]&0x40 != 0 { // the length of the padding
		for at < len(p) && p[at] == 255 {
			at++
		}
		at++
	}
	if p[1]&0x80 != 0 {
		for range int(p[1]&0x3f) - 1 {
			at += length(at)
		}
	}
	return at
}

// opusComfort tells whether a packet is what an Opus encoder emits while it
// transmits nothing: a frame with no content (RFC 6716 section 3.2.1).
func opusComfort(payload []byte) bool { return len(payload) <= 2 }
