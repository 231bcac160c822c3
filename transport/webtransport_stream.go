package transport

import (
	"io"
	"math"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/webtransport-go"
)

// wtSender and wtReceiver are the halves of WebTransport's streams.
type (
	wtSender struct {
		l  *wtLink
		st interface {
			io.WriteCloser
			SetWriteDeadline(time.Time) error
			CancelWrite(webtransport.StreamErrorCode)
		}
	}
	wtReceiver struct {
		l  *wtLink
		st interface {
			io.Reader
			CancelRead(webtransport.StreamErrorCode)
		}
	}
	wtBidi struct {
		wtReceiver
		wtSender
	}
)

func (r *wtReceiver) Read(p []byte) (int, error) {
	n, err := r.st.Read(p)
	return n, r.l.streamError(err)
}

func (r *wtReceiver) cancelRead(code ErrorCode) { r.st.CancelRead(wtStreamCode(code)) }

func (w *wtSender) Write(p []byte) (int, error) {
	n, err := w.st.Write(p)
	return n, w.l.streamError(err)
}

func (w *wtSender) Close() error               { return w.l.streamError(w.st.Close()) }
func (w *wtSender) cancelWrite(code ErrorCode) { w.st.CancelWrite(wtStreamCode(code)) }

func (w *wtSender) SetWriteDeadline(t time.Time) error {
	return w.l.streamError(w.st.SetWriteDeadline(t))
}

func wtStreamCode(code ErrorCode) webtransport.StreamErrorCode {
	if code > math.MaxUint32 {
		code = roq.GeneralError
	}
	return webtransport.StreamErrorCode(code)
}

// writeThrough is only Write: webtransport-go hides the way to wait for the
// last packetful of it (see quicSender), which quic-go sends in the room that
// datagrams leave: of 1280 bytes nearly 100 beside a packet of MaxPacketSize.
func (w *wtSender) writeThrough(p []byte) (int, error) { return w.Write(p) }
