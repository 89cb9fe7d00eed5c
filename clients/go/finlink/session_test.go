package finlink

// Sessions of users, against a scripted server in this process.

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	exportsv1 "github.com/finlink/finlink/clients/go/finlink/exports/v1"
	identityv1 "github.com/finlink/finlink/clients/go/finlink/identity/v1"
	usersv1 "github.com/finlink/finlink/clients/go/finlink/users/v1"
)

var aLogin = &identityv1.LoginRequest{Email: proto.String("asha@example.com"), Password: "any"}

// pair is a reply with the tokens of this number. Login and Refresh reply alike.
func pair(number int, seconds int32) reply {
	data := &identityv1.SessionData{
		Token: proto.String(fmt.Sprint("at", number)), RefreshToken: proto.String(fmt.Sprint("flr_", number)), ExpiresIn: proto.Int32(seconds),
	}
	return reply{messages: []proto.Message{&identityv1.RefreshResponse{Data: data}}}
}

// calls gives the name of each call that came, with its access token.
func (s *script) calls() []string {
	return each(s.received, func(call received) string {
		name := call.path[slices.Index([]byte(call.path[1:]), '/')+2:]
		if shown := call.headers.Get("authorization"); len(shown) > 0 {
			return name + " " + shown[0][len("Bearer "):]
		}
		return name
	})
}

func expect(t *testing.T, got []string, wanted ...string) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("got %q, wanted %q", got, wanted)
	}
}

func TestManyCallsAtOnceMakeOneRefresh(t *testing.T) {
	var kept []string
	script, finlink := serving(t, WithRefreshToken("flr_0"), OnSession(func(data *identityv1.SessionData) {
		kept = append(kept, data.GetRefreshToken())
	}))
	script.replies = []reply{pair(1, 900)}
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			must(finlink.Users.GetUser(t.Context(), aRead))(t)
		}()
	}
	group.Wait()
	expect(t, script.calls(), append([]string{"Refresh"}, slices.Repeat([]string{"GetUser at1"}, 8)...)...)
	expect(t, kept, "flr_1")
}

func TestTheNextTokenIsFetchedBeforeOneExpires(t *testing.T) {
	script, finlink := serving(t, WithRefreshToken("flr_0"))
	now := time.Now()
	finlink.session.now = func() time.Time { return now }
	script.replies = []reply{pair(1, 900), {}, {}, down, down, down, down, {}, {}, pair(2, 900)}
	for _, passed := range []time.Duration{0, 719, 2, 1, 10} {
		now = now.Add(passed * time.Second)
		must(finlink.Users.GetUser(t.Context(), aRead))(t)
	}
	wanted := []string{"Refresh", "GetUser at1", "GetUser at1"}
	wanted = append(wanted, slices.Repeat([]string{"Refresh at1"}, 4)...)
	expect(t, script.calls(), append(wanted, "GetUser at1", "GetUser at1", "Refresh at1", "GetUser at2")...)
}

func TestACallWhoseTokenHasExpiredIsMadeOnceMore(t *testing.T) {
	script, finlink := serving(t, WithRefreshToken("flr_0"))
	expired := failure(t, "TOKEN_EXPIRED", codes.Unauthenticated, "finlink")
	script.replies = []reply{pair(1, 900), expired, pair(2, 900), {}, expired, pair(3, 900), expired}
	must(finlink.Users.DeleteUser(t.Context(), aChange))(t)
	_, err := finlink.Users.DeleteUser(t.Context(), aChange)
	failed(t, CodeTokenExpired, err)
	expect(t, script.calls(), "Refresh", "DeleteUser at1", "Refresh at1", "DeleteUser at2", "DeleteUser at2", "Refresh at2", "DeleteUser at3")
	if keys := script.headers("idempotency-key"); keys[1] != keys[3] || keys[4] != keys[6] || keys[1] == keys[4] {
		t.Errorf("keys %q", keys)
	}
}

func TestARefreshWhoseReplyWasLostIsRepeatedWithItsKey(t *testing.T) {
	script, finlink := serving(t, WithRefreshToken("flr_0"))
	script.replies = []reply{{hang: true, err: status.Error(codes.DeadlineExceeded, "late")}, pair(1, 900)}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := finlink.Users.GetUser(short, aRead)
	failed(t, CodeDeadlineExceeded, err)
	must(finlink.Users.GetUser(t.Context(), aRead))(t)
	expect(t, script.calls(), "Refresh", "Refresh", "GetUser at1")
	if keys := script.headers("idempotency-key"); keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("keys %q", keys)
	}
	for _, ask := range asked(t, script, &identityv1.RefreshRequest{})[:2] {
		expect(t, []string{ask.GetRefreshToken()}, "flr_0")
	}
}

func TestALoginBeginsTheSessionAndBeginsItAgain(t *testing.T) {
	script, finlink := serving(t, WithLogin(aLogin))
	ended := failure(t, "SESSION_ENDED", codes.Unauthenticated, "finlink")
	refused := failure(t, "LOGIN_FAILED", codes.Unauthenticated, "finlink")
	script.replies = []reply{pair(1, 900), {}, ended, ended, pair(2, 900), {}, ended, ended, refused}
	for range 2 {
		must(finlink.Users.GetUser(t.Context(), aRead))(t)
	}
	for range 2 { // a login that was refused is not tried again
		_, err := finlink.Users.GetUser(t.Context(), aRead)
		failed(t, CodeLoginFailed, err)
	}
	wanted := []string{"Login", "GetUser at1", "GetUser at1", "Refresh at1", "Login at1", "GetUser at2", "GetUser at2", "Refresh at2", "Login at2"}
	expect(t, script.calls(), wanted...)
}

func TestSigningOutShowsTheTokenAndFetchesNone(t *testing.T) {
	script, finlink := serving(t, WithRefreshToken("flr_0"))
	script.replies = []reply{{}, pair(1, 0)}
	must(finlink.Auth.Logout(t.Context(), &identityv1.LogoutRequest{}))(t)
	must(finlink.Users.GetUser(t.Context(), aRead))(t)
	must(finlink.Auth.Logout(t.Context(), &identityv1.LogoutRequest{}))(t)
	expect(t, script.calls(), "Logout", "Refresh", "GetUser at1", "Logout at1")
}

func TestStreamsGoOnWithTheNextToken(t *testing.T) {
	script, finlink := serving(t, WithRefreshToken("flr_0"))
	expired := failure(t, "TOKEN_EXPIRED", codes.Unauthenticated, "finlink")
	item := &exportsv1.ExportUserResponse{Item: &exportsv1.ExportUserResponse_User{User: &usersv1.User{UserId: "ann"}}}
	script.replies = []reply{
		pair(1, 900), {messages: []proto.Message{event("a")}, err: expired.err}, pair(2, 900), {messages: []proto.Message{event("b")}},
		expired, pair(3, 900), expired, pair(4, 900), expired, pair(5, 900), {messages: []proto.Message{item}},
		{messages: []proto.Message{item}, err: expired.err},
	}
	if events := must(all(finlink.WatchConnectors(t.Context(), nil)))(t); len(events) != 2 {
		t.Errorf("events %v", events)
	}
	_, err := all(finlink.WatchConnectors(t.Context(), &connectorsv1.WatchConnectorsRequest{}))
	failed(t, CodeTokenExpired, err)
	items := must(all(finlink.ExportUser(t.Context(), &exportsv1.ExportUserRequest{})))(t)
	broken, err := all(finlink.ExportUser(t.Context(), &exportsv1.ExportUserRequest{}))
	if failed(t, CodeTokenExpired, err); len(items) != 1 || len(broken) != 1 {
		t.Errorf("items %v, %v", items, broken)
	}
}

func TestAnAccessTokenIsSentAsItIsAndStandsAlone(t *testing.T) {
	script, finlink := serving(t, WithAccessToken("own"))
	must(finlink.Users.GetUser(t.Context(), aRead))(t)
	expect(t, script.calls(), "GetUser own")
	if _, err := Connect(script.address, WithAccessToken("own"), WithLogin(aLogin)); err == nil {
		t.Error("both were taken")
	}
}
