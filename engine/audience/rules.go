package audience

// An ID names a player: a small number, which is used again when the player
// has been removed.
type ID int32

// A Vector is a place or a direction: forward, right and up, in metres.
type Vector [3]float32

// Mode is whom a player talks with, besides their team.
type Mode uint8

// The modes.
const (
	// World: teammates, and those near who are in the world mode themselves.
	World Mode = iota
	// TeamOnly: teammates alone.
	TeamOnly
)

// GroupType is what being in a group is to those who are not.
type GroupType uint8

// The types. Members of a group hear each other anywhere.
const (
	// Normal: members hear those near, too, who do not hear them.
	Normal GroupType = iota
	// Open: members and those near hear each other.
	Open
	// Isolated: members hear members alone, and are heard by members alone, of
	// their groups; neither nearness nor a team reaches in or out. A target and
	// a broadcast do.
	Isolated
)

// Reason is why a talker is heard.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	Nothing Reason = iota // not heard
	Broadcast
	Group
	Team
	Target
	Near
)

func (r Reason) String() string {
	return [...]string{"nothing", "broadcast", "room", "team", "target", "near"}[r]
}

// Targets are whom a push-to-talk key goes to, several at once.
type Targets struct {
	Players []ID
	Teams   []uint16
	Groups  []uint16
	// Only: nobody else hears it. Default: who would hear it anyway hears it
	// too.
	Only bool
}

func (t *Targets) none() bool { return len(t.Players)+len(t.Teams)+len(t.Groups) == 0 }

// A Mute is who has muted somebody, or deafened them: each is lifted by itself.
type Mute uint8

// The mutes of a player: of their talking by a moderator and by themselves, and
// of their hearing likewise.
const (
	MutedByModerator Mute = 1 << iota
	MutedBySelf
	DeafenedByModerator
	DeafenedBySelf
)

// Category is what kind of sound a talker is, for volumes.
type Category uint8

// The categories; a host may use those up to NumCategories for others.
const (
	Players Category = iota
	Announcer
	Music
	NumCategories Category = 8
)

// MaxGroups is how many groups a player may be in at a time.
const MaxGroups = 4

const (
	// MinGain and MaxGain are the ends of a voice's gain in dB.
	MinGain, MaxGain = -60, 12
	// PanSteps is the pan of a voice at the far right; -PanSteps is at the left.
	PanSteps = 8
)

// A Voice is one talker as one receiver hears them.
type Voice struct {
	Talker ID
	Gain   int8 // dB, MinGain to MaxGain
	Pan    int8 // -PanSteps (left) to PanSteps (right), of the way the receiver looks
	Reason Reason
}

// A Candidate is a talker whom a receiver might hear.
type Candidate struct {
	Receiver, Talker ID
	Reason           Reason
	Distance         float32 // metres, if they are near
	Gain             float32 // dB, by distance
	Level            float32 // dBov: how loud the talker is
	Priority         int
}

// Config says how a world sounds.
type Config struct {
	// Range is from how far players hear, and are heard, unless SetRange and
	// SetReach say otherwise, in metres. Default 30.
	Range float32
	// Voices is how many talkers a receiver is given at most. Default 12.
	Voices int
	// Falloff is the gain, 0 to 1, at a distance as a share, 0 to 1, of how far
	// a voice carries to its receiver. It is asked beforehand, not per voice.
	// Default: full up to a tenth, then in inverse proportion to the distance,
	// fading out over the last tenth.
	Falloff func(share float32) float32
	// Duck is by how much a talker of a higher priority makes the others
	// quieter, in dB. Default 12; negative is not at all.
	Duck float32
	// Hysteresis is what is added to the score of a talker who is heard
	// already, in dB. Default 6.
	Hysteresis float32
	// Score says how much a receiver would have of a talker, where there are
	// more than Voices. Default: Level + Gain + 10 times Priority, in dB.
	Score func(c Candidate) float32
}

func (c Config) withDefaults() Config {
	if !(c.Range > 0) {
		c.Range = 30
	}
	if c.Voices <= 0 {
		c.Voices = 12
	}
	if c.Falloff == nil {
		c.Falloff = inverse
	}
	switch {
	case c.Duck == 0:
		c.Duck = 12
	case c.Duck < 0:
		c.Duck = 0
	}
	if !(c.Hysteresis > 0) {
		c.Hysteresis = 6
	}
	if c.Score == nil {
		c.Score = func(c Candidate) float32 { return c.Level + c.Gain + 10*float32(c.Priority) }
	}
	return c
}

func inverse(share float32) float32 {
	gain := min(1, 0.1/max(share, 0.1))
	if share > 0.9 {
		gain *= (1 - share) * 10
	}
	return gain
}
