package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"github.com/quic-go/webtransport-go"
)

const (
	// WebTransportPath is the path of the URL that a page opens:
	// https://host:port/earshot.
	WebTransportPath = "/earshot"
	// WebTransportProtocol is the application protocol offered in the header
	// WT-Available-Protocols (a page: the option "protocols"). A client that
	// offers none is taken to mean this one.
	WebTransportProtocol = "earshot-1"
)

// How a session lies on WebTransport: the first bidirectional stream that the
// client opens is the control stream; a WebTransport datagram and a
// unidirectional stream hold the bytes that a QUIC datagram and stream would
// hold under RTP over QUIC (package roq). The RoQ draft does not speak of
// WebTransport: this is ours, though others do the same.

const (
	// lingerLeast and lingerMost bound how long a side that closes waits for
	// the other to have read why: the reason is stream data, which would not
	// survive the end of the QUIC connection.
	lingerLeast = 200 * time.Millisecond
	lingerMost  = time.Second
	// lingerBrowser is for a peer that has read it but leaves the connection,
	// as Chromium does: its page is still to be told.
	lingerBrowser = 20 * time.Millisecond

	// maxBurst is how many datagrams go out within burstTime to a peer that is
	// no browser, and so likely one of ours: quic-go has a queue of 32 behind
	// the connection's own (http3, state_tracking_stream.go), which drops the
	// newest without a word.
	maxBurst  = 16
	burstTime = 4 * time.Millisecond

	// causeTime is how long to wait for an ending session's own words on why.
	causeTime = 100 * time.Millisecond
)

// A wtLink is a WebTransport session that has a QUIC connection for itself.
type wtLink struct {
	conn  *quic.Conn
	sess  *webtransport.Session
	paths *paths // the socket of a dialled connection, else nil
	// connect is the stream of the request that opened the session; nil for a
	// dialled one.
	connect *http3.Stream

	// paced: the peer is no browser. burst counts the datagrams sent since
	// burstStart; they belong to who writes.
	paced      bool
	burst      int
	burstStart time.Time

	asked chan struct{} // holds a token until somebody looks for the cause
	known chan struct{} // closed when cause is set
	cause *endError
}

func newWTLink(conn *quic.Conn, sess *webtransport.Session, p *paths) *wtLink {
	l := &wtLink{conn: conn, sess: sess, paths: p, asked: make(chan struct{}, 1), known: make(chan struct{})}
	l.asked <- struct{}{}
	return l
}

func (l *wtLink) protocol() string { return "webtransport" }
func (l *wtLink) queues() bool     { return true }
func (l *wtLink) prompt() bool     { return !l.paced }
func (l *wtLink) stats() linkStats { return quicStats(l.conn) }

func (l *wtLink) localAddr() net.Addr {
	if l.paths != nil {
		return l.paths.localAddr()
	}
	return l.conn.LocalAddr()
}

func (l *wtLink) remoteAddr() net.Addr { return l.conn.RemoteAddr() }

func (l *wtLink) sendDatagram(b []byte) error {
	if l.paced {
		l.pace()
	}
	err := l.sess.SendDatagram(b)
	if err == nil {
		return nil
	}
	var large *quic.DatagramTooLargeError
	if errors.As(err, &large) {
		return errTooLarge
	}
	return l.ended()
}

// pace waits after maxBurst datagrams within burstTime.
func (l *wtLink) pace() {
	now := time.Now()
	if since := now.Sub(l.burstStart); since >= burstTime {
		l.burst, l.burstStart = 0, now
	} else if l.burst == maxBurst {
		time.Sleep(burstTime - since)
		l.burst, l.burstStart = 0, now.Add(burstTime-since)
	}
	l.burst++
}

func (l *wtLink) receiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := l.sess.ReceiveDatagram(ctx)
	switch {
	case err == nil:
		return b, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, l.ended()
}

func (l *wtLink) openUni(ctx context.Context) (sendStream, error) {
	st, err := l.sess.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, l.sessionError(ctx, err)
	}
	return &wtSender{l, st}, nil
}

func (l *wtLink) acceptUni(ctx context.Context) (receiveStream, error) {
	st, err := l.sess.AcceptUniStream(ctx)
	if err != nil {
		return nil, l.sessionError(ctx, err)
	}
	return &wtReceiver{l, st}, nil
}

func (l *wtLink) openBidi(ctx context.Context) (bidiStream, error) {
	st, err := l.sess.OpenStreamSync(ctx)
	if err != nil {
		return nil, l.sessionError(ctx, err)
	}
	return l.bidi(st), nil
}

func (l *wtLink) acceptBidi(ctx context.Context) (bidiStream, error) {
	st, err := l.sess.AcceptStream(ctx)
	if err != nil {
		return nil, l.sessionError(ctx, err)
	}
	return l.bidi(st), nil
}

func (l *wtLink) bidi(st *webtransport.Stream) *wtBidi {
	return &wtBidi{wtReceiver{l, st}, wtSender{l, st}}
}

// close tells the peer in the session's last capsule, which a page sees as
// closeCode and reason, and waits until the peer has it.
func (l *wtLink) close(code ErrorCode, reason string) {
	wire := webtransport.SessionErrorCode(code)
	if code > math.MaxUint32 { // what the capsule has room for
		wire = webtransport.SessionErrorCode(roq.GeneralError)
	}
	select {
	case <-l.sess.Context().Done(): // the peer closed it, or is gone
	default:
		timer := time.NewTimer(min(max(4*l.stats().rtt, lingerLeast), lingerMost))
		answered := l.sess.Context().Done() // the peer ended its side of the stream
		if !l.sayClosed(wire, reason) {
			l.sess.CloseWithError(wire, reason)
			answered = nil
		}
		select {
		case <-l.conn.Context().Done():
		case <-answered:
			timer.Reset(lingerBrowser)
			select {
			case <-l.conn.Context().Done():
			case <-timer.C:
			}
		case <-timer.C:
		}
		timer.Stop()
	}
	l.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	if l.paths != nil {
		l.paths.close()
	}
}

// sayClosed sends the capsule that ends a session (draft-ietf-webtrans-http3,
// "Session Termination"), and nothing else, though Session.CloseWithError has
// more. It asks the peer to stop sending, in a frame that goes before the
// capsule: Chromium (156) then takes the session for lost, and never reads the
// code. And it ends the stream, as the draft demands: Chromium's page crashes,
// one time in ten, if it ever had a stream from the server. The connection
// ends soon after, and the stream with it.
//
// Even so Chromium tells the page the code in about half of the cases, and that
// the connection was lost in the others: say why on the control stream first.
func (l *wtLink) sayClosed(code webtransport.SessionErrorCode, reason string) bool {
	if l.connect == nil {
		return false
	}
	const closeSession = 0x2843
	b := quicvarint.Append(nil, closeSession)
	b = quicvarint.Append(b, uint64(4+len(reason)))
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	b = append(b, reason...)
	return l.connect.TryWriteAll(b) == nil
}

// ended returns why the session ended, after something failed because it did.
func (l *wtLink) ended() error {
	select { // no sync.Once: findCause waits, and under synctest a lock must not
	case <-l.asked:
		l.cause = &endError{l.findCause()}
		close(l.known)
	case <-l.known:
	}
	return l.cause
}

// findCause asks the session first, and the connection if that does not know:
// webtransport-go makes one error of all that can happen to a session's stream.
func (l *wtLink) findCause() error {
	timer := time.NewTimer(causeTime)
	defer timer.Stop()
	select {
	case <-l.sess.Context().Done():
	case <-timer.C:
		return &Error{Code: roq.GeneralError, Reason: "the session's stream was stopped", Remote: true}
	}
	_, err := l.sess.OpenUniStream() // says why the session ended
	var closed *webtransport.SessionError
	if errors.As(err, &closed) {
		return &Error{Code: ErrorCode(closed.ErrorCode), Reason: clip(closed.Message, 200), Remote: closed.Remote}
	}
	for { // the queue of a stream that ended in order ends with io.EOF
		if _, err = l.sess.ReceiveDatagram(context.Background()); err != nil {
			break
		}
	}
	if err == io.EOF {
		return &Error{Code: roq.NoError, Remote: true}
	}
	select {
	case <-l.conn.Context().Done():
		return http3Cause(context.Cause(l.conn.Context()))
	case <-timer.C:
		return &Error{Code: roq.GeneralError, Reason: "the session's stream was reset", Remote: true}
	}
}

// http3Cause translates why a connection ended, whose codes are HTTP/3's
// (RFC 9114 section 8.1) and not ours.
func http3Cause(err error) error {
	var app *quic.ApplicationError
	if errors.As(err, &app) {
		if http3.ErrCode(app.ErrorCode) == http3.ErrCodeNoError {
			return &Error{Code: roq.NoError, Reason: clip(app.ErrorMessage, 200), Remote: app.Remote}
		}
		reason := fmt.Sprintf("%v %s", http3.ErrCode(app.ErrorCode), app.ErrorMessage)
		return &Error{Code: roq.GeneralError, Reason: clip(reason, 200), Remote: app.Remote}
	}
	var end *endError
	if errors.As(connError(err), &end) {
		return end.cause
	}
	return err
}

// sessionError translates an error of one of the session's methods.
func (l *wtLink) sessionError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.ended()
}

// streamError translates an error of one of a stream's methods, which may be
// the stream's own or the session's.
func (l *wtLink) streamError(err error) error {
	var (
		own     *webtransport.StreamError
		foreign *quic.StreamError // a code that is not WebTransport's
	)
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.As(err, &own):
		return &StreamError{Code: ErrorCode(own.ErrorCode), Remote: own.Remote}
	case errors.As(err, &foreign):
		return &StreamError{Code: roq.GeneralError, Remote: foreign.Remote}
	case l.sessionEnded(err):
		return l.ended()
	}
	return err // a misuse, such as Close after the stream was cancelled
}

// sessionEnded tells whether an error of a stream is the session's.
func (l *wtLink) sessionEnded(err error) bool {
	if l.sess.Context().Err() != nil || l.conn.Context().Err() != nil {
		return true
	}
	// The error may be there before the contexts are done.
	var (
		closed *webtransport.SessionError
		reset  *http3.Error
		conn   *endError
	)
	return errors.As(err, &closed) || errors.As(err, &reset) || errors.As(streamError(err), &conn)
}
