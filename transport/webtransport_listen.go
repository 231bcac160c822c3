package transport

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

const (
	// h3SetupTime is how long a connection may take to open its session.
	h3SetupTime = 5 * time.Second
	// maxHeaderBytes is the most bytes of a request's header.
	maxHeaderBytes = 16 << 10
)

// A wtServer makes sessions of connections that negotiated HTTP/3.
type wtServer struct {
	l       *NetListener
	wt      *webtransport.Server
	origins map[string]bool
	conns   sync.Map // *quic.Conn to *h3Conn
}

// h3ConnKey is the context key of a request's *h3Conn.
type h3ConnKey struct{}

// h3Conn is one connection: it may have one session.
type h3Conn struct {
	conn   *quic.Conn
	opened atomic.Bool
}

// newH3Server returns what serves WebTransport.
func (l *NetListener) newH3Server() h3Server {
	s := &wtServer{l: l, origins: make(map[string]bool)}
	for _, o := range l.cfg.AllowedOrigins {
		s.origins[canonicalOrigin(o)] = true
	}
	mux := http.NewServeMux() // answers 404 for any other path
	mux.HandleFunc(WebTransportPath, s.connect)
	s.wt = &webtransport.Server{
		H3: &http3.Server{
			Handler:         mux,
			EnableDatagrams: true,
			MaxHeaderBytes:  maxHeaderBytes,
			Logger:          l.log,
			ConnContext: func(ctx context.Context, conn *quic.Conn) context.Context {
				c, _ := s.conns.Load(conn)
				return context.WithValue(ctx, h3ConnKey{}, c)
			},
		},
		ApplicationProtocols: []string{WebTransportProtocol},
		ReorderingTimeout:    h3SetupTime,
		CheckOrigin:          func(*http.Request) bool { return true }, // connect has
	}
	return s
}

// canonicalOrigin writes an origin as browsers do (RFC 6454 section 6.2): in
// lower case, without a default port.
func canonicalOrigin(o string) string {
	o = strings.TrimSuffix(strings.ToLower(o), "/")
	if strings.HasPrefix(o, "https://") {
		return strings.TrimSuffix(o, ":443")
	}
	return strings.TrimSuffix(o, ":80")
}

// serveH3 implements h3Server.
func (s *wtServer) serveH3(conn *quic.Conn) {
	c := &h3Conn{conn: conn}
	s.conns.Store(conn, c)
	defer s.conns.Delete(conn)
	timer := time.AfterFunc(h3SetupTime, func() {
		if !c.opened.Load() {
			s.l.log.Info("transport: no WebTransport session within 5 s", "remote", conn.RemoteAddr())
			conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeRequestIncomplete), "no WebTransport session")
		}
	})
	defer timer.Stop()
	if err := s.wt.ServeQUICConn(conn); err != nil {
		s.l.log.Info("transport: HTTP/3 connection failed", "remote", conn.RemoteAddr(), "err", err)
	}
	conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// close implements h3Server.
func (s *wtServer) close() { s.wt.Close() }

// connect serves the requests for WebTransportPath.
func (s *wtServer) connect(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(h3ConnKey{}).(*h3Conn)
	log := s.l.log.With("remote", c.conn.RemoteAddr())
	if r.Method != http.MethodConnect {
		http.Error(w, "this is for WebTransport", http.StatusBadRequest)
		return
	}
	// A page cannot leave its Origin out (RFC 9220, W3C WebTransport): who has
	// none is no browser, and the list is no protection against it.
	if o := r.Header.Get("Origin"); o != "" && !s.origins["*"] && !s.origins[canonicalOrigin(o)] {
		log.Warn("transport: WebTransport refused: the page's origin is not in AllowedOrigins", "origin", clip(o, 200))
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if s.l.ctx.Err() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if !c.opened.CompareAndSwap(false, true) {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	kept := &keptStream{w, w.(http.Flusher), w.(http3.Settingser), nil}
	sess, err := s.wt.Upgrade(kept, r)
	if err != nil {
		log.Info("transport: WebTransport refused", "err", err)
		c.opened.Store(false)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	link := newWTLink(c.conn, sess, nil)
	link.connect, link.paced = kept.str, r.Header.Get("Origin") == ""
	ours := newSession(link, s.l.cfg.Session, false, s.l.log)
	if r.Header.Get("WT-Available-Protocols") != "" && sess.SessionState().ApplicationProtocol == "" {
		log.Info("transport: WebTransport refused: the page does not offer the protocol " + WebTransportProtocol)
		ours.CloseWithError(roq.ExpectationUnmet, "want the protocol "+WebTransportProtocol)
		return
	}
	if err := s.l.acceptor.add(s.l.ctx, ours); err != nil {
		ours.CloseWithError(roq.NoError, "listener closed")
	}
}

// A keptStream is a http3.Server's ResponseWriter that remembers the stream
// which the handler took over.
type keptStream struct {
	http.ResponseWriter
	http.Flusher
	http3.Settingser
	str *http3.Stream
}

func (k *keptStream) HTTPStream() *http3.Stream {
	k.str = k.ResponseWriter.(http3.HTTPStreamer).HTTPStream()
	return k.str
}
