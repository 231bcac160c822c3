// Package signal holds the control messages between a client and a server,
// and their codec. PROTOCOL.md beside this file is the protocol in words, for
// those who write a client in another language; the two change together.
//
// A message is a JSON object behind a four-byte length: [Encode] makes one and
// [Reader] reads them from a transport's control stream. Everything that
// arrives is hostile until [Message.Body] has returned it: bodies are checked there, once,
// so that the rest of the engine need not.
package signal

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Version is the version of the protocol that this package speaks.
const Version = 1

// MaxMessageSize is the largest message, in bytes of JSON.
const MaxMessageSize = 64 << 10

// Errors of reading messages. They work with errors.Is.
var (
	// ErrTooLarge: a length is above MaxMessageSize.
	ErrTooLarge = fmt.Errorf("signal: message is larger than %d bytes", MaxMessageSize)
	// ErrMalformed: not a message: no JSON object, no type, or a body whose
	// fields are missing or out of range.
	ErrMalformed = errors.New("signal: malformed message")
	// ErrUnknownType: the message's type is not one of this version.
	ErrUnknownType = errors.New("signal: unknown message type")
)

// A Message is the envelope of every message.
type Message struct {
	// Type says what Body holds.
	Type Type `json:"type"`
	// ID numbers a client's requests from 1, without gaps.
	ID uint64 `json:"id,omitempty"`
	// N numbers a server's events from 1, without gaps.
	N uint64 `json:"n,omitempty"`
	// Ack is the N of the last event that a client has seen.
	Ack uint64 `json:"ack,omitempty"`
	// Raw is the body, still JSON; use Body.
	Raw json.RawMessage `json:"body,omitempty"`
}

// Body decodes and checks the message's body. The result is a pointer to the
// struct that belongs to the type. Errors wrap ErrMalformed or ErrUnknownType.
func (m *Message) Body() (any, error) {
	mk, ok := bodies[m.Type]
	if !ok {
		return nil, fmt.Errorf("%w %.40q", ErrUnknownType, string(m.Type))
	}
	b := mk()
	if len(m.Raw) > 0 {
		if err := json.Unmarshal(m.Raw, b); err != nil {
			return nil, fmt.Errorf("%w: %s: %v", ErrMalformed, m.Type, err)
		}
	}
	if c, ok := b.(interface{ check() error }); ok {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, m.Type, err)
		}
	}
	return b, nil
}

// Encode returns a message as it goes on the wire: length and JSON. A nil body
// is left out. It fails if the message would be too large.
func Encode(m Message, body any) ([]byte, error) {
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("signal: %s: %w", m.Type, err)
		}
		m.Raw = raw
	}
	// The envelope is written by hand: a second pass of encoding/json over the
	// body is most of the cost of a message.
	frame := make([]byte, 4, 64+len(m.Type)+len(m.Raw))
	frame = append(frame, `{"type":`...)
	frame = strconv.AppendQuote(frame, string(m.Type))
	for _, f := range [...]struct {
		name string
		v    uint64
	}{{`,"id":`, m.ID}, {`,"n":`, m.N}, {`,"ack":`, m.Ack}} {
		if f.v != 0 {
			frame = strconv.AppendUint(append(frame, f.name...), f.v, 10)
		}
	}
	if len(m.Raw) > 0 {
		frame = append(append(frame, `,"body":`...), m.Raw...)
	}
	frame = append(frame, '}')
	n := len(frame) - 4
	if n > MaxMessageSize {
		return nil, fmt.Errorf("%w: %s has %d", ErrTooLarge, m.Type, n)
	}
	binary.BigEndian.PutUint32(frame, uint32(n))
	return frame, nil
}

// A Reader reads messages from a control stream. It is for one goroutine.
type Reader struct {
	r   *bufio.Reader
	buf []byte
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 512)} }

// Read returns the next message. It returns io.EOF at the end of the stream,
// io.ErrUnexpectedEOF in the middle of a message, ErrTooLarge or ErrMalformed
// for what is no message; after these two the stream cannot be read on.
func (r *Reader) Read() (Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return Message{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	switch {
	case n == 0:
		return Message{}, fmt.Errorf("%w: empty", ErrMalformed)
	case n > MaxMessageSize:
		return Message{}, fmt.Errorf("%w: %d announced", ErrTooLarge, n)
	}
	if err := r.fill(int(n)); err != nil {
		return Message{}, err
	}
	return Decode(r.buf)
}

// fill reads n bytes into r.buf. It grows the buffer as bytes come, so that a
// peer that announces much and sends nothing costs nothing.
func (r *Reader) fill(n int) error {
	const step = 4 << 10
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		at, more := len(r.buf), min(step, n-len(r.buf))
		if cap(r.buf) < at+more {
			grown := make([]byte, at, min(n, max(2*cap(r.buf), at+more)))
			copy(grown, r.buf)
			r.buf = grown
		}
		r.buf = r.buf[:at+more]
		if _, err := io.ReadFull(r.r, r.buf[at:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// Decode parses one message's JSON. The result does not share memory with js.
func Decode(js []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(js, &m); err != nil {
		return Message{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if m.Type == "" {
		return Message{}, fmt.Errorf("%w: no type", ErrMalformed)
	}
	return m, nil
}
