package finlink

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	identityv1 "github.com/finlink/finlink/clients/go/finlink/identity/v1"
	rulesv1 "github.com/finlink/finlink/clients/go/finlink/rules/v1"
)

const authorizationHeader = "authorization"

// renewalPause passes until a renewal that failed for a while is tried again.
const renewalPause = 10 * time.Second

// session has the tokens of a user who has signed in, and gets the next ones in time. A nil session has none.
type session struct {
	auth      identityv1.AuthServiceClient
	login     *identityv1.LoginRequest
	onSession func(*identityv1.SessionData)
	now       func() time.Time
	renewing  chan struct{} // has an item while a call renews

	mutex   sync.Mutex
	current tokens
	refused error // a refused login is not tried again: more failures would lock the name
}

type tokens struct {
	access, refresh string
	// key is that of the call that uses the refresh token: if its reply is lost, the same call brings the same successor.
	key          string
	due, expires time.Time
}

func newSession(chosen *settings) *session {
	return &session{
		login: chosen.login, onSession: chosen.onSession, now: time.Now, renewing: make(chan struct{}, 1),
		current: tokens{refresh: chosen.refreshToken, key: rand.Text()},
	}
}

// call makes a call with an access token, and once more if that has expired. Those for everybody, as signing out, show
// the token that there is.
func (s *session) call(ctx context.Context, path string, invoke func(context.Context) error) error {
	if s == nil || isAuthorized(ctx) {
		return invoke(ctx)
	}
	if method := methods[path]; method == nil || isPublic(method) {
		return invoke(authorized(ctx, s.newest().access))
	}
	token, err := s.token(ctx)
	if err != nil {
		return err
	}
	err = invoke(authorized(ctx, token))
	if !s.helps(err) {
		return err
	}
	s.expire(token)
	if token, err = s.token(ctx); err != nil {
		return err
	}
	return invoke(authorized(ctx, token))
}

// token gives an access token that lives; one call at a time renews it for all.
func (s *session) token(ctx context.Context) (string, error) {
	if current := s.newest(); s.now().Before(current.due) {
		return current.access, nil
	}
	select {
	case s.renewing <- struct{}{}:
		defer func() { <-s.renewing }()
	case <-ctx.Done():
		return "", fromContext(ctx.Err())
	}
	current := s.newest()
	if s.now().Before(current.due) {
		return current.access, nil
	}
	return s.renewed(ctx, current)
}

func (s *session) renewed(ctx context.Context, current tokens) (string, error) {
	if current.refresh != "" {
		keyed := WithIdempotencyKey(ctx, current.key)
		reply, err := s.auth.Refresh(keyed, &identityv1.RefreshRequest{RefreshToken: current.refresh})
		switch code := CodeOf(err); {
		case err == nil:
			return s.take(reply.GetData()), nil
		case slices.Contains([]Code{CodeSessionEnded, CodeUnauthenticated}, code) && s.login != nil:
			s.update(func(kept *tokens) { kept.refresh = "" }) // the login begins another
		case slices.Contains([]Code{CodeUnavailable, CodeDeadlineExceeded, CodeRateLimited}, code) && s.now().Before(current.expires):
			s.update(func(kept *tokens) { kept.due = s.now().Add(renewalPause) })
			return current.access, nil
		default:
			return "", err
		}
	}
	if s.refused != nil {
		return "", s.refused
	}
	reply, err := s.auth.Login(ctx, s.login)
	if err != nil {
		if CodeOf(err) == CodeLoginFailed {
			s.refused = err
		}
		return "", err
	}
	if reply.GetData().GetChallenge() != nil {
		// There is nobody whom a client could ask for the code of an app.
		s.refused = &Error{
			Code:    CodeLoginFailed,
			Message: "A second factor is needed: complete the login with VerifySecondFactor, and give the client its refresh token",
			status:  status.New(codes.Unauthenticated, "a second factor is needed"),
		}
		return "", s.refused
	}
	return s.take(reply.GetData()), nil
}

func (s *session) take(data *identityv1.SessionData) string {
	life := time.Duration(data.GetExpiresIn()) * time.Second
	now := s.now().Round(0) // a clock that goes on while the machine sleeps
	s.update(func(current *tokens) {
		*current = tokens{
			access: data.GetToken(), refresh: data.GetRefreshToken(), key: rand.Text(),
			due: now.Add(time.Duration(float64(life) * rules.TokenLifeUsed)), expires: now.Add(life),
		}
	})
	if s.onSession != nil {
		s.onSession(data)
	}
	return data.GetToken()
}

// helps reports whether a call that failed so may succeed with the next token.
func (s *session) helps(err error) bool {
	code := CodeOf(err)
	return s != nil && (code == CodeTokenExpired || code == CodeSessionEnded && s.login != nil)
}

// expire has the next call renew the token, unless another has come.
func (s *session) expire(token string) {
	s.update(func(current *tokens) {
		if current.access == token {
			current.due, current.expires = time.Time{}, time.Time{}
		}
	})
}

func (s *session) newest() tokens {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.current
}

func (s *session) update(change func(*tokens)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change(&s.current)
}

// isPublic reports whether a call needs no credential, as signing in: no token is fetched for it.
func isPublic(method protoreflect.MethodDescriptor) bool {
	rule := proto.GetExtension(method.Options(), rulesv1.E_Method).(*rulesv1.MethodRules)
	return rule.GetUsers().GetReach() == rulesv1.Reach_REACH_PUBLIC
}

func isAuthorized(ctx context.Context) bool {
	given, _ := metadata.FromOutgoingContext(ctx)
	return cmp.Or(given.Get(authorizationHeader)...) != ""
}

func authorized(ctx context.Context, token string) context.Context {
	if token == "" || isAuthorized(ctx) {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, authorizationHeader, "Bearer "+token)
}
