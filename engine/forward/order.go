package forward

// An Order puts packets back into their order: those that came too early wait
// for those before them. Its memory is bounded, and used again.
type Order struct {
	slots   []ordered
	next    uint16 // the number that is due
	waiting int
	started bool
}

type ordered struct {
	used   bool
	packet []byte
}

// NewOrder returns an order in which at most so many packets wait, a power of 2.
func NewOrder(packets int) *Order {
	if packets < 1 || packets&(packets-1) != 0 || packets > 1<<14 {
		panic("forward: an order's size must be a power of 2, at most 16384")
	}
	return &Order{slots: make([]ordered, packets)}
}

// Push takes a packet and keeps a copy. One that comes after its turn, or again,
// is dropped. One for which there is no room moves the turn on: what is missing
// before it is given up.
func (o *Order) Push(seq uint16, packet []byte) {
	if !o.started {
		o.started, o.next = true, seq
	}
	ahead := int16(seq - o.next)
	if ahead < 0 {
		return
	}
	for int(ahead) >= len(o.slots) { // Pop has not been called, or a gap is that long
		o.slot(o.next).drop(o)
		o.next++
		ahead--
	}
	s := o.slot(seq)
	if s.used {
		return
	}
	s.used = true
	s.packet = append(s.packet[:0], packet...)
	o.waiting++
}

func (s *ordered) drop(o *Order) {
	if s.used {
		s.used = false
		o.waiting--
	}
}

func (o *Order) slot(seq uint16) *ordered { return &o.slots[int(seq)&(len(o.slots)-1)] }

// Pop returns the packet that is due, if it is there. The bytes are the order's,
// valid until the next call.
func (o *Order) Pop() (packet []byte, ok bool) {
	s := o.slot(o.next)
	if !s.used {
		return nil, false
	}
	s.used = false
	o.waiting--
	o.next++
	return s.packet, true
}

// Waiting is how many packets wait for those before them.
func (o *Order) Waiting() int { return o.waiting }

// Next is the number that is due.
func (o *Order) Next() uint16 { return o.next }

// Skip gives up the number that is due, if it is not there.
func (o *Order) Skip() {
	if !o.slot(o.next).used {
		o.next++
	}
}

// Restart forgets everything: the numbers begin anew.
func (o *Order) Restart() {
	for i := range o.slots {
		o.slots[i].used = false
	}
	o.waiting, o.started = 0, false
}
