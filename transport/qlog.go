package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// remoteAddrKey is the context key of a connection's remote address, for trace.
type remoteAddrKey struct{}

// trace asks the host whether a connection's events are to be written down.
// quic-go calls it before the first packet is answered.
func (l *NetListener) trace(ctx context.Context, isClient bool, id quic.ConnectionID) qlogwriter.Trace {
	remote, _ := ctx.Value(remoteAddrKey{}).(net.Addr)
	var w io.WriteCloser
	if err := contained(func() error { w = l.cfg.QLog(remote); return nil }); err != nil {
		l.log.Error("transport: QLog panicked", "remote", remote)
	}
	if w == nil {
		return nil
	}
	l.qlogs.Add(1)
	f := &qlogFile{w: w, log: l.log.With("remote", remote), done: l.qlogs.Done}
	f.b = bufio.NewWriter(writerFunc(f.write))
	seq := qlogwriter.NewConnectionFileSeq(f, isClient, id, []string{qlog.EventSchema})
	go seq.Run()
	return seq
}

// A qlogFile is where one connection's qlog goes. quic-go writes from one
// goroutine, and closes it when the connection has ended and all is written. It
// would put an error into the program's log, so it is told of none: nothing more
// is written after the first.
type qlogFile struct {
	w    io.WriteCloser
	b    *bufio.Writer
	log  *slog.Logger
	bad  bool
	once sync.Once
	done func()
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (f *qlogFile) Write(p []byte) (int, error) { return f.b.Write(p) }

func (f *qlogFile) write(p []byte) (int, error) {
	if f.bad {
		return len(p), nil
	}
	err := contained(func() error {
		if n, err := f.w.Write(p); err != nil || n < len(p) {
			return errors.Join(io.ErrShortWrite, err)
		}
		return nil
	})
	if err != nil {
		f.bad = true
		f.log.Warn("transport: qlog not written", "err", err)
	}
	return len(p), nil
}

func (f *qlogFile) Close() error {
	f.once.Do(func() {
		defer f.done()
		f.b.Flush()
		if err := contained(f.w.Close); err != nil {
			f.log.Warn("transport: qlog not closed", "err", err)
		}
	})
	return nil
}

var errQLogPanic = errors.New("transport: the qlog writer panicked")

func contained(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errQLogPanic
		}
	}()
	return f()
}
