package finlink

// Deadlines, retries, keys and errors, against a scripted server in this process.

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	errorsv1 "github.com/finlink/finlink/clients/go/finlink/errors/v1"
	usersv1 "github.com/finlink/finlink/clients/go/finlink/users/v1"
)

var (
	aRead           = &usersv1.GetUserRequest{UserId: "asha"}
	aChange         = &usersv1.DeleteUserRequest{UserId: "asha"}
	toPlatform      = &connectorsv1.CreateConnectorRequest{}
	toPlatformAgain = &connectorsv1.RefreshSessionRequest{}
)

func TestTheRulesOfEachCallAreThoseOfThePythonClient(t *testing.T) {
	file := os.Getenv("FINLINK_TEST_RULES")
	if file == "" {
		t.Skip("FINLINK_TEST_RULES names no file")
	}
	type callRules struct{ Read, Retried, WaitsForPlatform, Public bool }
	var reported map[string]callRules
	if err := json.Unmarshal(must(os.ReadFile(file))(t), &reported); err != nil {
		t.Fatal(err)
	}
	own := map[string]callRules{}
	for path, method := range methods {
		own[path[1:]] = callRules{isRead(method), isRetried(method), waitsForPlatform(method), isPublic(method)}
	}
	if len(own) == 0 || !reflect.DeepEqual(own, reported) {
		t.Errorf("here %v, in Python %v", own, reported)
	}
}

func TestAChangeIsTriedAgainWithTheSameKey(t *testing.T) {
	script, finlink := serving(t)
	script.replies = []reply{down, down}
	for range 2 {
		must(finlink.Users.DeleteUser(t.Context(), aChange))(t)
	}
	keys := script.headers("idempotency-key")
	if len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] || keys[2] == keys[3] {
		t.Errorf("keys %q", keys)
	}
}

func TestAReadHasNoKeyAndACallersOwnIsKept(t *testing.T) {
	script, finlink := serving(t)
	must(finlink.Users.GetUser(t.Context(), aRead))(t)
	must(finlink.Users.DeleteUser(WithIdempotencyKey(t.Context(), "mine"), aChange))(t)
	if keys := script.headers("idempotency-key"); !slices.Equal(keys, []string{"", "mine"}) {
		t.Errorf("keys %q", keys)
	}
}

func TestACallIsGivenUpAfterFourAttempts(t *testing.T) {
	script, finlink := serving(t)
	script.replies = slices.Repeat([]reply{down}, 5)
	_, err := finlink.Users.GetUser(t.Context(), aRead)
	if failed(t, CodeUnavailable, err); len(script.received) != 4 {
		t.Errorf("%d attempts", len(script.received))
	}
}

func TestWhatGoesToAPlatformAndOtherFailuresAreNotTriedAgain(t *testing.T) {
	script, finlink := serving(t)
	script.replies = []reply{down, down, {err: status.Error(codes.InvalidArgument, "wrong")}}
	_, err := finlink.Connectors.CreateConnector(t.Context(), toPlatform)
	failed(t, CodeUnavailable, err)
	_, err = finlink.Connectors.RefreshSession(t.Context(), toPlatformAgain)
	failed(t, CodeUnavailable, err)
	_, err = finlink.Users.GetUser(t.Context(), aRead)
	if failed(t, "INVALID_ARGUMENT", err); len(script.received) != 3 {
		t.Errorf("%d attempts", len(script.received))
	}
}

func TestWithHalfOfItsTokensGoneAClientTriesNothingAgain(t *testing.T) {
	script, finlink := serving(t)
	script.replies = slices.Repeat([]reply{down}, 100)
	for range 13 { // four attempts each
		_, err := finlink.Users.GetUser(t.Context(), aRead)
		failed(t, CodeUnavailable, err)
	}
	before := len(script.received)
	_, err := finlink.Users.GetUser(t.Context(), aRead)
	if failed(t, CodeUnavailable, err); len(script.received) != before+1 {
		t.Errorf("%d attempts", len(script.received)-before)
	}
}

func TestACallHasItsDeadlineOrItsClientsOrTheContracts(t *testing.T) {
	script, finlink := serving(t)
	other := connected(t, script.address, WithTimeout(200*time.Second), WithPlatformTimeout(300*time.Second))
	for _, client := range []*Client{finlink, other} {
		must(client.Users.GetUser(t.Context(), aRead))(t)
		must(client.Connectors.RefreshSession(t.Context(), toPlatformAgain))(t)
	}
	own, cancel := context.WithTimeout(t.Context(), 400*time.Second)
	defer cancel()
	must(other.Users.GetUser(own, aRead))(t)
	seconds := each(script.received, func(call received) int { return int(call.timeout.Round(10*time.Second) / time.Second) })
	if !slices.Equal(seconds, []int{10, 40, 200, 300, 400}) {
		t.Errorf("seconds %v", seconds)
	}
}

func TestAnAPIKeyGoesWithEveryCallAndWhoCalls(t *testing.T) {
	script, finlink := serving(t, WithAPIKey("finlink_k"))
	must(finlink.Users.GetUser(t.Context(), aRead))(t)
	must(all(finlink.WatchConnectors(t.Context(), nil)))(t)
	if keys := script.headers("x-api-key"); !slices.Equal(keys, []string{"finlink_k", "finlink_k"}) {
		t.Errorf("keys %q", keys)
	}
	for _, agent := range script.headers("user-agent") {
		if !strings.HasPrefix(agent, "finlink-client-go/"+Version+" ") {
			t.Errorf("user agent %q", agent)
		}
	}
}

func TestEveryReasonOfTheContractArrivesWithAllThatItSays(t *testing.T) {
	script, finlink := serving(t)
	for number := range errorsv1.ErrorReason_name {
		reason := strings.TrimPrefix(errorsv1.ErrorReason(number).String(), "ERROR_REASON_")
		if reason == "UNSPECIFIED" {
			continue
		}
		script.replies = []reply{failure(t, reason, codes.FailedPrecondition, "finlink")}
		_, err := finlink.Users.GetUser(t.Context(), aRead)
		reported := failed(t, Code(reason), err)
		if !slices.Equal(reported.Fields, []FieldError{{"preferences.currency", "is odd"}}) ||
			reported.LoginURL() != "https://login.example" || reported.Metadata()["loginUrl"] != reported.LoginURL() ||
			reported.RetryAfter != 7500*time.Millisecond || status.Code(err) != codes.FailedPrecondition ||
			err.Error() != reason+": Told (preferences.currency: is odd)" {
			t.Errorf("%+v", *reported)
		}
	}
}

func TestWithoutAReasonOfFinlinksTheStatusDecides(t *testing.T) {
	script, finlink := serving(t)
	words := map[codes.Code]Code{
		codes.Canceled: "CANCELLED", codes.NotFound: "NOT_FOUND", codes.Unknown: "UNKNOWN", codes.DataLoss: "DATA_LOSS",
		codes.Internal: "INTERNAL", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	}
	for code, word := range words {
		script.replies = []reply{failure(t, "USER_NOT_FOUND", code, "elsewhere.example")}
		_, err := finlink.Users.GetUser(t.Context(), aRead)
		if reported := failed(t, word, err); reported.LoginURL() != "" {
			t.Errorf("%v", reported.Metadata())
		}
	}
}

func TestNobodyAtTheAddressIsUnavailable(t *testing.T) {
	script, finlink := serving(t)
	script.server.Stop()
	_, err := finlink.Users.GetUser(t.Context(), aRead)
	failed(t, CodeUnavailable, err)
}

func TestALateAnswerIsNotWaitedFor(t *testing.T) {
	script, finlink := serving(t, WithTimeout(20*time.Millisecond))
	script.replies = []reply{{hang: true}}
	_, err := finlink.Users.GetUser(t.Context(), aRead)
	if failed(t, CodeDeadlineExceeded, err); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Error("it is another error of the context")
	}
}

func TestClosingEndsWhatIsUnderWayAndWhatComesLater(t *testing.T) {
	script, finlink := serving(t)
	script.replies = []reply{{hang: true}}
	ended := make(chan error)
	go func() {
		_, err := finlink.Users.GetUser(t.Context(), aRead)
		ended <- err
	}()
	script.hangs(t.Context(), t)
	finlink.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, err := finlink.Users.GetUser(t.Context(), aRead)
	failed(t, CodeCancelled, err)
}
