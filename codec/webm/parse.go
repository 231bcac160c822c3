package webm

import (
	"bytes"
	"time"
)

// maxBlockHeader is the length of a block's header: the track's number, the
// time and flags.
const maxBlockHeader = 8 + 2 + 1

// parseInfo takes the unit of time and the duration (RFC 9559 section 5.1.2).
func (d *Reader) parseInfo(start int64, b []byte) error {
	for len(b) > 0 {
		e, rest, ok := nextElement(b)
		if !ok {
			return d.errorf(start, "its description is corrupt")
		}
		b = rest
		switch e.id {
		case idTimestampScale:
			v, ok := e.uint()
			if !ok || v == 0 || v > uint64(time.Hour) {
				return d.errorf(start, "a unit of time out of range")
			}
			d.scale = v
		case idDuration:
			d.ticks, _ = e.float()
		}
	}
	return nil
}

// parseTracks takes the list of tracks (RFC 9559 section 5.1.4).
func (d *Reader) parseTracks(start int64, b []byte) error {
	d.tracks = make(map[uint64]int)
	for len(b) > 0 {
		e, rest, ok := nextElement(b)
		if !ok {
			return d.errorf(start, "the list of tracks is corrupt")
		}
		b = rest
		if e.id != idTrackEntry {
			continue
		}
		t, number, reason := parseTrack(e.data)
		if reason == "" && number == 0 {
			reason = "a track without a number"
		}
		if _, twice := d.tracks[number]; reason == "" && twice {
			reason = "two tracks with one number"
		}
		if reason == "" && len(d.header.Tracks) == MaxTracks {
			reason = "more tracks than anybody needs"
		}
		if reason != "" {
			return d.errorf(start, "%s", reason)
		}
		d.tracks[number] = len(d.header.Tracks)
		d.header.Tracks = append(d.header.Tracks, t)
	}
	if len(d.header.Tracks) == 0 {
		return d.errorf(start, "the file has no track")
	}
	return nil
}

// parseTrack takes one track. reason is what is wrong with it.
func parseTrack(b []byte) (t Track, number uint64, reason string) {
	encoded := false
	for len(b) > 0 {
		e, rest, ok := nextElement(b)
		if !ok {
			return t, 0, "a track is corrupt"
		}
		b = rest
		v, _ := e.uint()
		switch e.id {
		case idTrackNumber:
			number = v
		case idCodecID:
			t.CodecID = e.string()
		case idCodecPrivate:
			if len(e.data) > 1<<16 {
				return t, 0, "a codec's header of more than 64 KiB"
			}
			t.CodecPrivate = bytes.Clone(e.data)
		case idCodecDelay:
			t.CodecDelay = time.Duration(min(v, uint64(maxTime)))
		case idSeekPreRoll:
			t.SeekPreRoll = time.Duration(min(v, uint64(maxTime)))
		case idContentEncodings:
			encoded = true
		case idVideo, idAudio:
			if !parseSizes(&t, e) {
				return t, 0, "a track is corrupt"
			}
		}
	}
	if encoded && readable(t.CodecID) {
		return t, 0, "a track is compressed once more, or encrypted"
	}
	return t, number, ""
}

// parseSizes takes what a track says of its pictures, or of its sound.
func parseSizes(t *Track, parent element) bool {
	if parent.id == idAudio { // defaults of RFC 9559 section 5.1.4.1.29
		t.Channels, t.SampleRate = 1, 8000
	}
	for b := parent.data; len(b) > 0; {
		e, rest, ok := nextElement(b)
		if !ok {
			return false
		}
		b = rest
		v, _ := e.uint()
		n := int(min(v, 1<<20))
		switch e.id {
		case idPixelWidth:
			t.Width = n
		case idPixelHeight:
			t.Height = n
		case idChannels:
			t.Channels = n
		case idSampleRate:
			f, _ := e.float()
			t.SampleRate = int(min(max(f, 0), 1<<20))
		}
	}
	return true
}

// readable reports whether a codec's frames are handed out.
func readable(codecID string) bool { return codecID == VP8 || codecID == Opus }

// parseGroup takes a block with what belongs to it (RFC 9559 section 5.1.3.5).
func (d *Reader) parseGroup(start int64, b []byte) (Frame, bool, error) {
	var block []byte
	key := true
	for len(b) > 0 {
		e, rest, ok := nextElement(b)
		if !ok {
			return Frame{}, false, d.errorf(start, "a block's group is corrupt")
		}
		b = rest
		switch e.id {
		case idBlock:
			if block != nil || len(e.data) > MaxFrame+maxBlockHeader {
				return Frame{}, false, d.errorf(start, "a group with two blocks, or one too large")
			}
			block = e.data
		case idReferenceBlock:
			key = false
		}
	}
	if block == nil {
		return Frame{}, false, d.errorf(start, "a group without a block")
	}
	f, ok, err := d.parseBlock(start, block, false)
	f.KeyFrame = f.KeyFrame || key
	return f, ok, err
}

// parseBlock takes a frame. It belongs to no track that is handed out, or is
// empty, if ok is false (RFC 9559 section 10.1 and 10.2).
//
//	+---------------+-------+-+-----+-+---+-+ -  -
//	| track (1 to 8)| time  |K| 000 |I|LAC|D| data
//	+---------------+-------+-+-----+-+---+-+ -  -
func (d *Reader) parseBlock(start int64, b []byte, simple bool) (f Frame, ok bool, err error) {
	n := 9
	if len(b) > 0 {
		n = vintLength(b[0])
	}
	if n > 8 || len(b) < n+3 {
		return f, false, d.errorf(start, "a block of %d bytes", len(b))
	}
	number := vintValue(b[:n])
	rel, flags := int16(uint16(b[n])<<8|uint16(b[n+1])), b[n+2]
	track, known := d.tracks[uint64(number)]
	if !known || !readable(d.header.Tracks[track].CodecID) {
		return f, false, nil
	}
	if len(b)-n-3 > MaxFrame {
		return f, false, d.errorf(start, "a frame of %d bytes: at most %d", len(b)-n-3, MaxFrame)
	}
	if flags&0x06 != 0 {
		return f, false, d.errorf(start, "frames are laced, which is not supported; WebM has no use for it with VP8 and Opus")
	}
	if !d.timed {
		return f, false, d.errorf(start, "a block before its cluster's time")
	}
	f = Frame{Track: track, Data: b[n+3:], KeyFrame: simple && flags&0x80 != 0 || d.header.Tracks[track].CodecID == Opus}
	at := int64(d.cluster) + int64(rel) // below 2^55 each
	if at > int64(uint64(maxTime)/d.scale) {
		return f, false, d.errorf(start, "a time out of range")
	}
	f.Time = time.Duration(max(at, 0) * int64(d.scale)) // some begin a little before 0
	return f, len(f.Data) > 0, nil
}
