package finlink

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"testing"

	"google.golang.org/protobuf/proto"

	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	usersv1 "github.com/finlink/finlink/clients/go/finlink/users/v1"
)

// client is one of the running Finlink that the environment names. Without one the test is skipped.
func client(t *testing.T) *Client {
	t.Helper()
	address := os.Getenv("FINLINK_TEST_ADDRESS")
	if address == "" {
		t.Skip("FINLINK_TEST_ADDRESS names no Finlink")
	}
	return connected(t, address)
}

func connected(t *testing.T, address string, options ...Option) *Client {
	t.Helper()
	client, err := Connect(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// kill ends a worker and returns once another one serves.
func kill(ctx context.Context, t *testing.T, worker string) {
	t.Helper()
	command := os.Getenv("FINLINK_TEST_KILL") + " " + worker
	if reported, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, reported)
	}
}

// newUser gives the id of a user that exists.
func newUser(t *testing.T, finlink *Client) string {
	t.Helper()
	id := newID()
	must(finlink.Users.CreateUser(t.Context(), &usersv1.CreateUserRequest{UserId: proto.String(id), Email: id + "@example.com"}))(t)
	return id
}

// connectTo logs in at the sandbox of a platform and gives the connector's id.
func connectTo(t *testing.T, finlink *Client, userID, platform string) string {
	t.Helper()
	reply := must(finlink.Connectors.CreateConnector(t.Context(), &connectorsv1.CreateConnectorRequest{
		UserId: userID, Platform: platform, Permissions: []string{"portfolio", "profile"}, Credentials: login("correct horse"),
	}))(t)
	if status := reply.GetData().GetConnectionStatus(); status != "connected" {
		t.Fatalf("%s is %s", platform, status)
	}
	return reply.GetData().GetId()
}

func login(password string) *connectorsv1.Credentials {
	return &connectorsv1.Credentials{Username: proto.String("9876543210"), Password: &password}
}

// must returns a reply; an error ends the test.
func must[Reply any](reply Reply, err error) func(*testing.T) Reply {
	return func(t *testing.T) Reply {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
}

// failed gives what a call failed with; anything but an [*Error] of this code ends the test.
func failed(t *testing.T, code Code, err error) *Error {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return failure
}

// all gives what comes up to the end, or to an error.
func all[Item any](items iter.Seq2[Item, error]) ([]Item, error) {
	found := []Item{}
	for item, err := range items {
		if err != nil {
			return found, err
		}
		found = append(found, item)
	}
	return found, nil
}

// each gives one fact of every item.
func each[Item, Fact any](items []Item, fact func(Item) Fact) []Fact {
	facts := make([]Fact, len(items))
	for i, item := range items {
		facts[i] = fact(item)
	}
	return facts
}
