package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// The settings of players, in bulk. Each takes effect with the world's next
// tick. Errors of all: an *Error if a user is not in the world or a setting is
// out of range, ErrClosed; nothing is changed then.

// each carries out a change for users. check is what is wrong with it.
func (w *World) each(userIDs []string, check error, change func(id audience.ID)) error {
	if check != nil {
		return check
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	list, err := w.find(userIDs)
	if err != nil {
		return err
	}
	for _, m := range list {
		change(m.id)
	}
	return nil
}

// SetRange is from how far users hear, in metres; 0 is nobody by nearness.
func (w *World) SetRange(metres float32, userIDs ...string) error {
	return w.each(userIDs, checkMetres(metres), func(id audience.ID) { w.aud.SetRange(id, metres) })
}

// SetReach is from how far users are heard, in metres: whispering and shouting.
func (w *World) SetReach(metres float32, userIDs ...string) error {
	return w.each(userIDs, checkMetres(metres), func(id audience.ID) { w.aud.SetReach(id, metres) })
}

// SetTeam puts users into a team; "" is none.
func (w *World) SetTeam(team string, userIDs ...string) error {
	return w.each(userIDs, w.named(&w.teams, team), func(id audience.ID) { w.aud.SetTeam(id, w.teams.number(team)) })
}

// SetMode says whom users talk with besides their teams.
func (w *World) SetMode(mode audience.Mode, userIDs ...string) error {
	return w.each(userIDs, checkMode(mode), func(id audience.ID) { w.aud.SetMode(id, mode) })
}

// SetGroups puts users into groups, at most 4, and out of all others.
func (w *World) SetGroups(groups []string, userIDs ...string) error {
	return w.each(userIDs, errors.Join(checkGroups(groups), w.named(&w.groups, groups...)), func(id audience.ID) {
		w.aud.SetGroups(id, w.groups.numbers(groups))
	})
}

// SetGroupType says what a group is to those who are not in it. Default
// audience.Normal.
func (w *World) SetGroupType(group string, t audience.GroupType) error {
	if group == "" || t > audience.Isolated {
		return refuse(hooks.CodeBadParam, "group %q cannot be of type %d", group, t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	if err := w.groups.room(group); err != nil {
		return err
	}
	w.aud.SetGroupType(w.groups.number(group), t)
	return nil
}

// SetPriority makes users heard rather than others, and others quieter while
// they talk: 0 to 10.
func (w *World) SetPriority(priority int, userIDs ...string) error {
	return w.each(userIDs, checkPriority(priority), func(id audience.ID) { w.aud.SetPriority(id, priority) })
}

// SetBroadcast makes everybody hear users.
func (w *World) SetBroadcast(on bool, userIDs ...string) error {
	return w.each(userIDs, nil, func(id audience.ID) { w.aud.SetBroadcast(id, on) })
}

// SetSpectator makes users hear others and not be heard.
func (w *World) SetSpectator(on bool, userIDs ...string) error {
	return w.each(userIDs, nil, func(id audience.ID) { w.aud.SetSpectator(id, on) })
}

// SetCategory says what kind of sound users are.
func (w *World) SetCategory(c audience.Category, userIDs ...string) error {
	return w.each(userIDs, checkCategory(c), func(id audience.ID) { w.aud.SetCategory(id, c) })
}

// Targets are whom a push-to-talk key goes to, several at once.
type Targets struct {
	Users, Teams, Groups []string
	// Only: nobody else hears it. Default: who would hear it anyway hears it
	// too.
	Only bool
}

// SetTargets says to whom users talk in particular; the zero Targets are none.
// Target users who are not in the world are an error; one who leaves is no
// target any longer.
func (w *World) SetTargets(t Targets, userIDs ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	aims, err := w.find(t.Users)
	if err != nil {
		return err
	}
	list, err := w.find(userIDs)
	if err != nil {
		return err
	}
	if err := errors.Join(w.teams.room(t.Teams...), w.groups.room(t.Groups...)); err != nil {
		return err
	}
	for _, m := range list { // each has slices of their own
		out := audience.Targets{Only: t.Only}
		for _, a := range aims {
			out.Players = append(out.Players, a.id)
		}
		for _, team := range t.Teams {
			out.Teams = append(out.Teams, w.teams.number(team))
		}
		for _, g := range t.Groups {
			out.Groups = append(out.Groups, w.groups.number(g))
		}
		w.aud.SetTargets(m.id, out)
	}
	return nil
}

// A standing is what a world keeps of a user, here or not: it survives lost
// connections, sign-outs and Leave.
type standing struct {
	mutes      audience.Mute
	banned     time.Time
	blocked    map[string]bool    // whom they do not want to hear
	volume     map[string]float32 // other than 1
	categories map[audience.Category]float32
}

func (w *World) standing(userID string) *standing {
	u := w.users[userID]
	if u == nil {
		u = &standing{}
		w.users[userID] = u
	}
	return u
}

// maxStandings is how many users and pairs a world keeps something of.
const maxStandings = 100_000

// keep makes sure that there is room for n more, and that these are user IDs.
func (w *World) keep(n int, userIDs ...string) error {
	if w.closed {
		return ErrClosed
	}
	if len(w.users)+w.pairs+n > maxStandings {
		return refuse(hooks.CodeRefused, "the world keeps mutes and volumes of %d users and pairs already", maxStandings)
	}
	for _, u := range userIDs {
		if err := signal.CheckUserID(u); err != nil {
			return &Error{Code: hooks.CodeBadParam, Message: err.Error()}
		}
	}
	return nil
}

// keepPairs is keep for what one user wants of others.
func (w *World) keepPairs(receiver string, talkers []string) error {
	if err := w.keep(len(talkers)+1, receiver); err != nil {
		return err
	}
	return w.keep(0, talkers...)
}

// recall gives a member who comes in what is kept of them, and of others about
// them.
func (w *World) recall(m *member) {
	if u := w.users[m.userID]; u != nil {
		w.aud.SetMute(m.id, u.mutes, true)
		for c, gain := range u.categories {
			w.aud.SetCategoryVolume(m.id, c, gain)
		}
		for other := range u.blocked {
			if t := w.members[other]; t != nil {
				w.aud.Block(m.id, t.id, true)
			}
		}
		for other, gain := range u.volume {
			if t := w.members[other]; t != nil {
				w.aud.SetVolume(m.id, t.id, gain)
			}
		}
	}
	if w.pairs == 0 {
		return
	}
	for _, r := range w.byID {
		if r == nil {
			continue
		}
		if u := w.users[r.userID]; u != nil {
			if u.blocked[m.userID] {
				w.aud.Block(r.id, m.id, true)
			}
			if gain, has := u.volume[m.userID]; has {
				w.aud.SetVolume(r.id, m.id, gain)
			}
		}
	}
}

// SetMute sets or lifts mutes of users: by a moderator and by themselves, of
// talking and of hearing. One says nothing of the other. They are kept for
// users who leave, and may be set for those who have not come yet.
func (w *World) SetMute(mute audience.Mute, on bool, userIDs ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keep(len(userIDs), userIDs...); err != nil {
		return err
	}
	for _, user := range userIDs {
		u := w.standing(user)
		u.mutes &^= mute
		if on {
			u.mutes |= mute
		}
		if m := w.members[user]; m != nil {
			w.aud.SetMute(m.id, mute, on)
		}
	}
	return nil
}

// Block makes a user not hear others, or hear them again. It is the user's own
// wish, which clients tell with MuteRemoteAudio, too, and is kept like mutes.
func (w *World) Block(receiver string, on bool, talkers ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keepPairs(receiver, talkers); err != nil {
		return err
	}
	u := w.standing(receiver)
	for _, t := range talkers {
		w.pairs -= len(u.blocked)
		switch {
		case !on:
			delete(u.blocked, t)
		case u.blocked == nil:
			u.blocked = map[string]bool{t: true}
		default:
			u.blocked[t] = true
		}
		w.pairs += len(u.blocked)
		if r, m := w.members[receiver], w.members[t]; r != nil && m != nil {
			w.aud.Block(r.id, m.id, on)
		}
	}
	return nil
}

// SetVolume is how loud a user hears others: 0 is not at all (nothing is sent),
// 1 as they are, 4 the most. It is kept like mutes.
func (w *World) SetVolume(receiver string, gain float32, talkers ...string) error {
	if err := checkGain(gain); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keepPairs(receiver, talkers); err != nil {
		return err
	}
	u := w.standing(receiver)
	for _, t := range talkers {
		w.pairs -= len(u.volume)
		switch {
		case gain == 1:
			delete(u.volume, t)
		case u.volume == nil:
			u.volume = map[string]float32{t: gain}
		default:
			u.volume[t] = gain
		}
		w.pairs += len(u.volume)
		if r, m := w.members[receiver], w.members[t]; r != nil && m != nil {
			w.aud.SetVolume(r.id, m.id, gain)
		}
	}
	return nil
}

// SetCategoryVolume is how loud users hear all talkers of a category: see
// SetVolume. It is kept like mutes.
func (w *World) SetCategoryVolume(c audience.Category, gain float32, receivers ...string) error {
	if err := errors.Join(checkCategory(c), checkGain(gain)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keep(len(receivers), receivers...); err != nil {
		return err
	}
	for _, r := range receivers {
		u := w.standing(r)
		if u.categories == nil {
			u.categories = make(map[audience.Category]float32)
		}
		u.categories[c] = gain
		if m := w.members[r]; m != nil {
			w.aud.SetCategoryVolume(m.id, c, gain)
		}
	}
	return nil
}

// Ban takes users out, and keeps them from being put in until a time; one that
// is past lifts it. Their connections stay: Server.Kick ends them.
func (w *World) Ban(until time.Time, userIDs ...string) error {
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.keep(len(userIDs), userIDs...); err != nil {
		return err
	}
	out := until.After(time.Now())
	for _, user := range userIDs {
		w.standing(user).banned = until
		if m := w.members[user]; m != nil && out {
			w.drop(m)
		}
	}
	return nil
}

// names gives teams and groups their numbers.
type names struct {
	what string
	of   map[string]uint16
}

func newNames(what string) names { return names{what, make(map[string]uint16)} }

// maxNames is how many teams, and how many groups, a world has in its life.
const maxNames = 65_000

// room makes sure that there is a number for each name.
func (n *names) room(list ...string) error {
	for _, name := range list {
		if _, has := n.of[name]; name == "" || has {
			continue
		}
		if len(n.of) >= maxNames {
			return refuse(hooks.CodeRefused, "more than %d %s", maxNames, n.what)
		}
		n.of[name] = uint16(len(n.of) + 1)
	}
	return nil
}

// number is that of a name that there is room for; 0 of "".
func (n *names) number(name string) uint16 { return n.of[name] }

func (n *names) numbers(list []string) (out [audience.MaxGroups]uint16) {
	for i, name := range list {
		out[i] = n.of[name]
	}
	return out
}

// named is room under the world's lock.
func (w *World) named(n *names, list ...string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return n.room(list...)
}

func checkGroups(groups []string) error {
	if len(groups) > audience.MaxGroups {
		return refuse(hooks.CodeBadParam, "%d groups, at most %d", len(groups), audience.MaxGroups)
	}
	return nil
}

func checkPriority(p int) error {
	if p < 0 || p > 10 {
		return refuse(hooks.CodeBadParam, "priority %d is not within 0 to 10", p)
	}
	return nil
}

func checkCategory(c audience.Category) error {
	if c >= audience.NumCategories {
		return refuse(hooks.CodeBadParam, "there is no category %d", c)
	}
	return nil
}

func checkMode(m audience.Mode) error {
	if m > audience.TeamOnly {
		return refuse(hooks.CodeBadParam, "there is no mode %d", m)
	}
	return nil
}

func checkGain(gain float32) error {
	if !(gain >= 0 && gain <= signal.MaxGain) {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("gain %v is not within 0 to %d", gain, signal.MaxGain)}
	}
	return nil
}
