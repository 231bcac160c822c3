package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt follows what its pages say without looking twice: a bit that fell over
// may send it around in circles, or through billions of pages. So Open walks
// through the whole tree once, reading the file and not the mapping. It costs
// about as much as reading the file.

// The layout of bbolt's file, version 2, in the byte order of the machine.
const (
	pageHeader  = 16 // id (8), flags (2), elements (2), pages that follow (4)
	elementSize = 16
	bucketSize  = 16 // root page (8), sequence (8)
	flagBranch  = 1
	flagLeaf    = 2
	flagFree    = 16
	flagBucket  = 1 // of a leaf's element
	maxTree     = 64
)

type walker struct {
	tx       *bbolt.Tx
	file     *os.File
	pageSize uint64
	pages    uint64
	seen     map[uint64]bool
}

// verify walks through all pages in use.
func (s *Store) verify() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		info, err := s.file.Stat()
		if err != nil {
			return err
		}
		if tx.Size() > info.Size() {
			return corrupt(fmt.Sprintf("%s was cut short: it has %d bytes of %d", s.path, info.Size(), tx.Size()))
		}
		w := &walker{tx: tx, file: s.file, pageSize: uint64(s.db.Info().PageSize), seen: make(map[uint64]bool)}
		w.pages = uint64(tx.Size()) / w.pageSize
		if err := w.page(uint64(tx.Cursor().Bucket().Root()), 0); err != nil {
			return fmt.Errorf("%w, in %s", err, s.path)
		}
		if err := w.freelist(); err != nil {
			return fmt.Errorf("%w, in %s", err, s.path)
		}
		return nil
	})
}

func (w *walker) page(id uint64, depth int) error {
	if id < 2 || id >= w.pages || depth > maxTree {
		return corrupt(fmt.Sprintf("page %d at depth %d", id, depth))
	}
	_, more, err := w.head(id)
	if err != nil {
		return err
	}
	for i := id; i <= id+more; i++ {
		info, err := w.tx.Page(int(i))
		if err != nil {
			return err
		}
		if w.seen[i] || info == nil || info.Type == "free" {
			return corrupt(fmt.Sprintf("page %d is in use twice, or free", i))
		}
		w.seen[i] = true
	}
	data := make([]byte, (1+more)*w.pageSize)
	if _, err := w.file.ReadAt(data, int64(id*w.pageSize)); err != nil {
		return err
	}
	return w.elements(data, id, depth)
}

// head reads a page's flags, and how many pages follow that belong to it.
func (w *walker) head(id uint64) (flags uint16, more uint64, err error) {
	var head [pageHeader]byte
	if _, err := w.file.ReadAt(head[:], int64(id*w.pageSize)); err != nil {
		return 0, 0, err
	}
	flags, more = binary.NativeEndian.Uint16(head[8:]), uint64(binary.NativeEndian.Uint32(head[12:]))
	if binary.NativeEndian.Uint64(head[:]) != id || id+more >= w.pages {
		return flags, 0, corrupt(fmt.Sprintf("the head of page %d", id))
	}
	return flags, more, nil
}

// freelist looks at the head of the page that lists the free ones. It is not
// part of the tree; what is in it bbolt has read by now.
func (w *walker) freelist() error {
	for id := uint64(2); id < w.pages; id++ {
		info, err := w.tx.Page(int(id))
		if err != nil {
			return err
		}
		if w.seen[id] || info == nil || info.Type == "free" {
			continue
		}
		if flags, _, err := w.head(id); flags == flagFree {
			return err // there is one, and more of its pages may follow it
		}
	}
	return nil
}

// elements looks through a page, or one that lies within a bucket's value.
func (w *walker) elements(data []byte, id uint64, depth int) error {
	broken := corrupt(fmt.Sprintf("page %d", id))
	if len(data) < pageHeader {
		return broken
	}
	flags, count := binary.NativeEndian.Uint16(data[8:]), int(binary.NativeEndian.Uint16(data[10:]))
	if flags != flagBranch && flags != flagLeaf || flags == flagBranch && count == 0 || pageHeader+count*elementSize > len(data) {
		return broken
	}
	var last []byte
	for i := range count {
		at := uint64(pageHeader + i*elementSize)
		e := data[at : at+elementSize]
		var pos, keyLen, valueLen uint64
		if flags == flagBranch {
			pos, keyLen = uint64(binary.NativeEndian.Uint32(e)), uint64(binary.NativeEndian.Uint32(e[4:]))
		} else {
			pos, keyLen = uint64(binary.NativeEndian.Uint32(e[4:])), uint64(binary.NativeEndian.Uint32(e[8:]))
			valueLen = uint64(binary.NativeEndian.Uint32(e[12:]))
		}
		if at+pos+keyLen+valueLen > uint64(len(data)) {
			return broken
		}
		key, value := data[at+pos:at+pos+keyLen], data[at+pos+keyLen:at+pos+keyLen+valueLen]
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return broken
		}
		last = key
		var err error
		switch {
		case flags == flagBranch:
			err = w.page(binary.NativeEndian.Uint64(e[8:]), depth+1)
		case binary.NativeEndian.Uint32(e)&flagBucket == 0:
		case len(value) < bucketSize:
			err = broken
		case binary.NativeEndian.Uint64(value) != 0:
			err = w.page(binary.NativeEndian.Uint64(value), depth+1)
		case depth > maxTree:
			err = broken
		default: // a small bucket, whose only page is in its value
			err = w.elements(value[bucketSize:], id, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
