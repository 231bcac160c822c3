package vp8

// FrameHeader is what the first bytes of a VP8 frame say (RFC 6386 section
// 9.1).
type FrameHeader struct {
	// KeyFrame: the picture needs no other.
	KeyFrame bool
	// Version of the bitstream, 0 to 7; 0 to 3 are known.
	Version uint8
	// Shown is false for frames that only others refer to.
	Shown bool
	// FirstPartition is the size of the first partition in bytes.
	FirstPartition int

	// Width and Height of the picture in pixels, 0 to 16383; only key frames
	// tell.
	Width, Height int
	// HorizontalScale and VerticalScale are how much to enlarge it for
	// display, 0 to 3: not at all, by 5/4, 5/3 or 2.
	HorizontalScale, VerticalScale uint8
}

// ParseFrameHeader reads the first bytes of a frame: 3, or 10 of a key frame.
// It returns false if there are fewer, or a key frame lacks its start code.
//
//	 0 1 2 3 4 5 6 7
//	+-+-+-+-+-+-+-+-+
//	|Size0|H| VER |P|  P: 0 for a key frame, H: shown
//	+-+-+-+-+-+-+-+-+
//	|     Size1     |
//	+-+-+-+-+-+-+-+-+
//	|     Size2     |
//	+-+-+-+-+-+-+-+-+
func ParseFrameHeader(frame []byte) (FrameHeader, bool) {
	if len(frame) < 3 {
		return FrameHeader{}, false
	}
	h := FrameHeader{
		KeyFrame:       frame[0]&1 == 0,
		Version:        frame[0] >> 1 & 7,
		Shown:          frame[0]&0x10 != 0,
		FirstPartition: int(frame[0])>>5 | int(frame[1])<<3 | int(frame[2])<<11,
	}
	if !h.KeyFrame {
		return h, true
	}
	if len(frame) < 10 || frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a {
		return FrameHeader{}, false
	}
	w := int(frame[6]) | int(frame[7])<<8
	v := int(frame[8]) | int(frame[9])<<8
	h.Width, h.HorizontalScale = w&0x3fff, uint8(w>>14)
	h.Height, h.VerticalScale = v&0x3fff, uint8(v>>14)
	return h, true
}

// Header reads the frame header from data, the VP8 bytes that follow d. It
// returns false if no frame begins there, or its header is corrupt or cut.
func (d *Descriptor) Header(data []byte) (FrameHeader, bool) {
	if !d.FirstOfFrame() {
		return FrameHeader{}, false
	}
	return ParseFrameHeader(data)
}

// IsKeyFrame reports whether an RTP payload begins a key frame. A key frame
// whose size is cut off counts: its first byte tells (RFC 7741 section 4.3).
func IsKeyFrame(payload []byte) bool {
	var d Descriptor
	n, err := d.Unmarshal(payload)
	return err == nil && d.FirstOfFrame() && payload[n]&1 == 0
}
