package finlink

// What every client does, against a running Finlink: see clients/SCENARIOS.md.

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/finlink/finlink/clients/go/finlink/audit/v1"
	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	exportsv1 "github.com/finlink/finlink/clients/go/finlink/exports/v1"
	identityv1 "github.com/finlink/finlink/clients/go/finlink/identity/v1"
	usersv1 "github.com/finlink/finlink/clients/go/finlink/users/v1"
)

func TestScenarios(t *testing.T) {
	finlink := client(t)
	t.Run("creates a user", func(t *testing.T) { createsAUser(t, finlink) })
	t.Run("connects both platforms", func(t *testing.T) { connectsBothPlatforms(t, finlink) })
	t.Run("follows a sync", func(t *testing.T) { followsASync(t, finlink) })
	t.Run("watches and resumes", func(t *testing.T) { watchesAndResumes(t, finlink) })
	t.Run("reports what is wrong", func(t *testing.T) { reportsWhatIsWrong(t, finlink) })
	t.Run("survives a killed worker", func(t *testing.T) { survivesAKilledWorker(t, finlink) })
	t.Run("walks lists", func(t *testing.T) { walksLists(t, finlink) })
	t.Run("exports a user", func(t *testing.T) { exportsAUser(t, finlink) })
	t.Run("keeps deadlines", func(t *testing.T) { keepsDeadlines(t, finlink) })
	t.Run("stays signed in", func(t *testing.T) { staysSignedIn(t, finlink) })
}

// newID gives an id that nobody has.
func newID() string { return "go_" + strings.ToLower(rand.Text()) }

func createsAUser(t *testing.T, finlink *Client) {
	id := newID()
	request := &usersv1.CreateUserRequest{UserId: proto.String(id), Email: id + "@example.com", FirstName: proto.String("Asha")}
	created := must(finlink.Users.CreateUser(t.Context(), request))(t)
	read := must(finlink.Users.GetUser(t.Context(), &usersv1.GetUserRequest{UserId: id}))(t)
	if !proto.Equal(read.GetData(), created.GetData()) || read.GetData().GetProfile().GetFirstName() != "Asha" {
		t.Errorf("created %v, read %v", created, read)
	}
	_, err := finlink.Users.CreateUser(t.Context(), &usersv1.CreateUserRequest{UserId: proto.String(newID()), Email: request.Email})
	taken := failed(t, CodeUserExists, err)
	if len(taken.Fields) != 1 || taken.Fields[0].Field != "email" {
		t.Errorf("fields %v", taken.Fields)
	}
}

func connectsBothPlatforms(t *testing.T, finlink *Client) {
	id := newUser(t, finlink)
	platforms := []string{"fi_money", "zerodha"}
	for _, platform := range platforms {
		connectTo(t, finlink, id, platform)
	}
	reply := must(finlink.Connectors.ListUserConnectors(t.Context(), &connectorsv1.ListUserConnectorsRequest{UserId: id}))(t)
	listed := reply.GetData().GetConnectors()
	if found := each(listed, (*connectorsv1.ConnectorSummary).GetPlatform); !slices.Equal(found, platforms) {
		t.Errorf("listed %v", found)
	}
	for _, connector := range listed {
		disconnect(t, finlink, connector.GetId())
		request := &connectorsv1.GetConnectorRequest{ConnectorId: connector.GetId()}
		read := must(finlink.Connectors.GetConnector(t.Context(), request))(t)
		if status := read.GetData().GetConnectionStatus(); status != "disconnected" {
			t.Errorf("%s is %s", connector.GetPlatform(), status)
		}
	}
}

func followsASync(t *testing.T, finlink *Client) {
	id := newUser(t, finlink)
	next, stop := iter.Pull2(finlink.WatchConnectors(t.Context(), &connectorsv1.WatchConnectorsRequest{UserId: &id}))
	defer stop()
	if ready := nextEvent(t, next); ready.GetType() != "ready" {
		t.Fatalf("first came %v", ready)
	}
	connector := connectTo(t, finlink, id, "fi_money")
	started := must(finlink.Sync.TriggerSync(t.Context(), &connectorsv1.TriggerSyncRequest{ConnectorId: connector}))(t)
	syncID := started.GetData().GetSyncId()
	for nextEvent(t, next).GetEndedSync().GetSyncId() != syncID {
	}

	request := &connectorsv1.GetSyncRequest{ConnectorId: connector, SyncId: syncID}
	run := must(finlink.Sync.GetSync(t.Context(), request))(t).GetData()
	if run.GetState() != "success" {
		t.Fatalf("the run is %v", run)
	}
	for _, count := range run.GetCounts() {
		request := &connectorsv1.ListRecordsRequest{ConnectorId: connector, DataType: proto.String(count.GetDataType())}
		records := must(all(finlink.IterateRecords(t.Context(), request)))(t)
		if len(records) == 0 || len(records) != int(count.GetRecordsCount()) {
			t.Errorf("%d records, counted %v", len(records), count)
		}
	}
}

func watchesAndResumes(t *testing.T, finlink *Client) {
	id := newUser(t, finlink)
	next, stop := iter.Pull2(finlink.WatchConnectors(t.Context(), &connectorsv1.WatchConnectorsRequest{UserId: &id}))
	ready := nextEvent(t, next)
	connector := connectTo(t, finlink, id, "zerodha")
	event := nextEvent(t, next)
	stop()
	if ready.GetType() != "ready" || event.GetType() != "connector" || event.GetConnector().GetId() != connector {
		t.Errorf("came %v, then %v", ready, event)
	}

	resumed, stop := iter.Pull2(finlink.WatchConnectors(t.Context(), &connectorsv1.WatchConnectorsRequest{
		UserId: &id, ResumeToken: proto.String(ready.GetResumeToken()),
	}))
	defer stop()
	if token := nextEvent(t, resumed).GetResumeToken(); token != ready.GetResumeToken() {
		t.Errorf("it goes on from %q", token)
	}
	if again := nextEvent(t, resumed); !proto.Equal(again, event) {
		t.Errorf("came %v, before it was %v", again, event)
	}
}

func reportsWhatIsWrong(t *testing.T, finlink *Client) {
	id := newUser(t, finlink)
	traced := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "from-a-test")
	wrong := &usersv1.CreateUserRequest{UserId: proto.String(newID()), Email: "nobody", FirstName: proto.String(strings.Repeat("x", 101))}
	_, err := finlink.Users.CreateUser(traced, wrong)
	invalid := failed(t, CodeValidationError, err)
	fields := each(invalid.Fields, func(field FieldError) string { return field.Field })
	if slices.Sort(fields); !slices.Equal(fields, []string{"email", "firstName"}) || invalid.RequestID != "from-a-test" {
		t.Errorf("%v of request %q", fields, invalid.RequestID)
	}

	request := &connectorsv1.CreateConnectorRequest{UserId: id, Platform: "zerodha", Permissions: []string{"portfolio"}}
	pending := must(finlink.Connectors.CreateConnector(t.Context(), request))(t).GetData()
	_, err = finlink.Connectors.RefreshSession(t.Context(), &connectorsv1.RefreshSessionRequest{ConnectorId: pending.GetId()})
	reauth := failed(t, CodeReauthRequired, err)
	if url := reauth.LoginURL(); url == "" || url != pending.GetLoginUrl() {
		t.Errorf("log in at %q, or at %q", url, pending.GetLoginUrl())
	}
	printed := fmt.Sprintf("%s %v %+v %#v %q", reauth, reauth, reauth, reauth, error(reauth))
	if strings.Count(printed, "REAUTH_REQUIRED") != 5 || strings.Contains(printed, reauth.LoginURL()) {
		t.Error(printed)
	}

	refused := &connectorsv1.CreateConnectorRequest{
		UserId: id, Platform: "fi_money", Permissions: []string{"portfolio"}, Credentials: login("wrong"),
	}
	for range 10 {
		_, err = finlink.Connectors.CreateConnector(t.Context(), refused)
		failed(t, CodeInvalidCredentials, err)
	}
	_, err = finlink.Connectors.CreateConnector(t.Context(), refused)
	if limited := failed(t, CodeRateLimited, err); limited.RetryAfter <= 0 {
		t.Errorf("retry after %v", limited.RetryAfter)
	}
}

func survivesAKilledWorker(t *testing.T, finlink *Client) {
	if os.Getenv("FINLINK_TEST_KILL") == "" {
		t.Skip("FINLINK_TEST_KILL is not set")
	}
	id := newUser(t, finlink)
	connector := connectTo(t, finlink, id, "zerodha")
	next, stop := iter.Pull2(finlink.WatchConnectors(t.Context(), &connectorsv1.WatchConnectorsRequest{UserId: &id}))
	defer stop()
	nextEvent(t, next)

	city := newID()
	var created sync.Map
	var reads atomic.Int64
	var callers sync.WaitGroup
	ended := make(chan struct{})
	caller := func(call func(ctx context.Context) error) {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for {
				select {
				case <-ended:
					return
				default:
				}
				if err := call(t.Context()); err != nil {
					t.Errorf("while workers were killed: %v", err)
					return
				}
			}
		}()
	}
	for range 2 {
		caller(func(ctx context.Context) error {
			reads.Add(1)
			_, err := finlink.Users.GetUser(ctx, &usersv1.GetUserRequest{UserId: id})
			return err
		})
	}
	for range 3 {
		caller(func(ctx context.Context) error {
			user := newID()
			request := &usersv1.CreateUserRequest{UserId: proto.String(user), Email: user + "@example.com", City: &city}
			_, err := finlink.Users.CreateUser(ctx, request)
			created.Store(user, true)
			return err
		})
	}
	kill(t.Context(), t, "worker-0")
	kill(t.Context(), t, "worker-1")
	close(ended)
	callers.Wait()

	users := must(all(finlink.IterateUsers(t.Context(), &usersv1.ListUsersRequest{City: &city})))(t)
	wanted := []string{}
	for user := range created.Range {
		wanted = append(wanted, user.(string))
	}
	listed := each(users, (*usersv1.User).GetUserId)
	slices.Sort(wanted)
	if slices.Sort(listed); len(wanted) == 0 || reads.Load() == 0 || !slices.Equal(listed, wanted) {
		t.Errorf("after %d reads and %d changes %d users are there", reads.Load(), len(wanted), len(listed))
	}
	for _, user := range listed {
		request := &auditv1.ListAuditEventsRequest{UserId: &user, Action: proto.String("user.created")}
		reply := must(finlink.Audit.ListAuditEvents(t.Context(), request))(t)
		if count := len(reply.GetData().GetEvents()); count != 1 {
			t.Errorf("%s was created %d times", user, count)
		}
	}
	disconnect(t, finlink, connector)
	for nextEvent(t, next).GetConnector().GetConnectionStatus() != "disconnected" {
	}
}

func walksLists(t *testing.T, finlink *Client) {
	city := newID()
	newestFirst := []string{}
	for number := range 5 {
		id := fmt.Sprintf("%s_%d", city, number)
		must(finlink.Users.CreateUser(t.Context(), &usersv1.CreateUserRequest{UserId: proto.String(id), Email: id + "@example.com", City: &city}))(t)
		newestFirst = slices.Insert(newestFirst, 0, id)
	}
	request := &usersv1.ListUsersRequest{City: &city, Limit: proto.Int32(2)}
	before := proto.CloneOf(request)
	for page, wanted := range map[int32][]string{1: newestFirst, 2: newestFirst[2:], 9: {}} {
		request.Page, before.Page = &page, &page
		users := must(all(finlink.IterateUsers(t.Context(), request)))(t)
		if found := each(users, (*usersv1.User).GetUserId); !slices.Equal(found, wanted) || !proto.Equal(request, before) {
			t.Errorf("from page %d: %v, asked %v", page, found, request)
		}
	}

	owners := newestFirst[:2]
	for _, id := range slices.Backward(owners) {
		connectTo(t, finlink, id, "fi_money")
	}
	connected := &connectorsv1.ListConnectorsRequest{Limit: proto.Int32(1), Status: proto.String("connected")}
	connectors := must(all(finlink.IterateConnectors(t.Context(), connected)))(t)
	found := slices.DeleteFunc(each(connectors, (*connectorsv1.ConnectorSummary).GetUserId), func(id string) bool {
		return !strings.HasPrefix(id, city)
	})
	if !slices.Equal(found, owners) {
		t.Errorf("connectors of %v", found)
	}
}

func exportsAUser(t *testing.T, finlink *Client) {
	id := newUser(t, finlink)
	connectTo(t, finlink, id, "zerodha")
	items := must(all(finlink.ExportUser(t.Context(), &exportsv1.ExportUserRequest{UserId: id})))(t)
	if first := items[0]; first.GetUser().GetUserId() != id {
		t.Errorf("first came %v", first)
	}
	came := map[string]int32{}
	for _, item := range items {
		switch item.Item.(type) {
		case *exportsv1.ExportUserResponse_User:
			came["user"]++
		case *exportsv1.ExportUserResponse_LoginMethods:
			came["loginMethods"]++
		case *exportsv1.ExportUserResponse_Connector:
			came["connector"]++
		case *exportsv1.ExportUserResponse_Record:
			came["record"]++
		case *exportsv1.ExportUserResponse_AuditEvent:
			came["auditEvent"]++
		}
	}
	if counts := items[len(items)-1].GetCompleted().GetCounts(); came["connector"] != 1 || !maps.Equal(counts, came) {
		t.Errorf("came %v, reported %v", came, counts)
	}
	_, err := all(finlink.ExportUser(t.Context(), &exportsv1.ExportUserRequest{UserId: newID()}))
	failed(t, CodeUserNotFound, err)
}

func keepsDeadlines(t *testing.T, finlink *Client) {
	id := newUser(t, finlink)
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	// Connecting asks the platform, which nothing can do within a millisecond.
	_, err := finlink.Connectors.CreateConnector(short, &connectorsv1.CreateConnectorRequest{
		UserId: id, Platform: "zerodha", Permissions: []string{"portfolio"}, Credentials: login("correct horse"),
	})
	failed(t, CodeDeadlineExceeded, err)
	_, err = all(finlink.ExportUser(short, &exportsv1.ExportUserRequest{UserId: id}))
	failed(t, CodeDeadlineExceeded, err)
	must(finlink.Users.GetUser(t.Context(), &usersv1.GetUserRequest{UserId: id}))(t)
}

func disconnect(t *testing.T, finlink *Client, connector string) {
	t.Helper()
	must(finlink.Connectors.DisconnectConnector(t.Context(), &connectorsv1.DisconnectConnectorRequest{ConnectorId: connector}))(t)
}

// nextEvent gives the next event of a watch; its end is that of the test.
func nextEvent(
	t *testing.T, next func() (*connectorsv1.WatchConnectorsResponse, error, bool),
) *connectorsv1.WatchConnectorsResponse {
	t.Helper()
	event, err, came := next()
	if err != nil || !came {
		t.Fatalf("the watch has ended: %v", err)
	}
	return event
}

func staysSignedIn(t *testing.T, finlink *Client) {
	id, password := newID(), "a long and quiet walk"
	login := &identityv1.LoginRequest{Email: proto.String(id + "@example.com"), Password: password}
	must(finlink.Auth.Register(t.Context(), &identityv1.RegisterRequest{UserId: proto.String(id), Email: login.GetEmail(), Password: password}))(t)
	var sessions []*identityv1.SessionData
	keep := OnSession(func(data *identityv1.SessionData) { sessions = append(sessions, data) })
	address := os.Getenv("FINLINK_TEST_ADDRESS")
	asks := func(client *Client) {
		t.Helper()
		if me := must(client.Me.GetMe(t.Context(), &identityv1.GetMeRequest{}))(t); me.GetData().GetUserId() != id {
			t.Errorf("it is %v", me)
		}
	}
	one := connected(t, address, WithLogin(login), keep)
	asks(one)
	must(finlink.Auth.Logout(t.Context(), &identityv1.LogoutRequest{RefreshToken: sessions[0].RefreshToken}))(t)
	asks(one)
	asks(connected(t, address, WithRefreshToken(sessions[1].GetRefreshToken()), keep))
	if len(sessions) != 3 || sessions[0].GetSessionId() == sessions[1].GetSessionId() ||
		sessions[1].GetSessionId() != sessions[2].GetSessionId() ||
		sessions[1].GetRefreshToken() == sessions[2].GetRefreshToken() {
		t.Errorf("%d sessions", len(sessions))
	}
}
