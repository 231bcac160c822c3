package roq

// BundleFlow is the flow identifier that marks a datagram as a bundle. It is
// no part of RTP over QUIC: only peers that agreed on it may use it.
//
// A bundle carries several packets in one datagram, as what costs is a
// datagram and not its bytes: the flow identifier 0, then items, each a length
// (a variable-length integer of RFC 9000, section 16) and so many bytes, which
// are what would be a datagram by itself: a flow identifier and one packet.
// An item is never a bundle.
const BundleFlow = 0

// BundleHeaderLen is how many bytes a bundle takes before its first item.
const BundleHeaderLen = 1

// BundledLen returns how many bytes AppendBundled appends for a datagram of n
// bytes.
func BundledLen(n int) int { return varintLen(uint64(n)) + n }

// AppendBundle begins a bundle.
func AppendBundle(b []byte) []byte { return appendVarint(b, BundleFlow) }

// AppendBundled appends a datagram to a bundle.
func AppendBundled(b, datagram []byte) []byte {
	return append(appendVarint(b, uint64(len(datagram))), datagram...)
}

// NextBundled reads the first item of what follows a bundle's flow identifier:
// the flow and the packet in it, and the items that come after it. The error is
// ErrBundle if an item is empty, cut short, has no packet or is a bundle.
func NextBundled(items []byte) (flow uint64, packet, rest []byte, err error) {
	size, n, err := ParseFlowID(items) // any variable-length integer
	if err != nil || size > uint64(len(items)-n) {
		return 0, nil, nil, ErrBundle
	}
	item := items[n : n+int(size)]
	flow, k, err := ParseFlowID(item)
	if err != nil || flow == BundleFlow || k == len(item) {
		return 0, nil, nil, ErrBundle
	}
	return flow, item[k:], items[n+int(size):], nil
}
