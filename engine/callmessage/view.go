package callmessage

// A Viewer is who looks at a message, and what their chat says of it.
type Viewer struct {
	// UserID is the user who looks.
	UserID string
	// FromSelf is true when the viewer sent the chat message.
	FromSelf bool
	// Sender is who sent the chat message. Default Message.By.
	Sender string
	// Name gives a user's name to show; see DisplayName. Default the user ID,
	// without control characters.
	Name func(userID string) string
	// ExcludedFromLastMessage and ExcludedFromUnreadCount are the chat
	// message's own marks. Default false.
	ExcludedFromLastMessage, ExcludedFromUnreadCount bool
	// Seen is true once the viewer has opened the message.
	Seen bool
}

// DisplayName picks the name to show for a user: what the viewer calls them,
// what they call themselves, their name in the group, their ID. Empty ones are
// passed over.
func DisplayName(remark, nick, card, userID string) string {
	for _, name := range []string{remark, nick, card} {
		if name != "" {
			return name
		}
	}
	return userID
}

// Icon is the picture beside a message.
type Icon uint8

// The icons.
const (
	IconVoice Icon = 1
	IconVideo Icon = 2
)

// Icon returns the voice icon for an audio call and the video icon for all
// else.
func (m Message) Icon() Icon {
	if m.Media == 1 {
		return IconVoice
	}
	return IconVideo
}

// Side is where a message stands in a chat, and its icon in the message.
type Side uint8

// The sides.
const (
	Left Side = iota
	Right
)

// Side returns Right for what the viewer sent and Left for all else.
func (m Message) Side(v Viewer) Side {
	if v.FromSelf {
		return Right
	}
	return Left
}

// IsCaller reports whether the viewer started the call. A message that does
// not say who did is taken to come from the one who invited, and a legacy
// hang-up or switch, which either side may send, from the viewer.
func (m Message) IsCaller(v Viewer) bool {
	caller := m.Caller
	if caller == "" && !m.Kind.ownInvitation() {
		caller = m.Inviter
	}
	return caller == "" || caller == v.UserID
}

// Hidden reports whether the history leaves the message out: because both of
// the chat's marks say so, or the message does.
func (m Message) Hidden(v Viewer) bool {
	return m.ExcludeFromHistory || v.ExcludedFromLastMessage && v.ExcludedFromUnreadCount
}

// UnreadDot reports whether the message shows a dot: a one-to-one call that
// the viewer missed, and has not looked at.
func (m Message) UnreadDot(v Viewer) bool {
	if m.Hidden(v) || v.Seen || m.Group || m.IsCaller(v) {
		return false
	}
	return m.Kind == Cancel || m.Kind == Timeout || m.Kind == LineBusy
}
