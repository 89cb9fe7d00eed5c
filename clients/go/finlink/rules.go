package finlink

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	errorsv1 "github.com/finlink/finlink/clients/go/finlink/errors/v1"
	rulesv1 "github.com/finlink/finlink/clients/go/finlink/rules/v1"
)

// rules is what the contract has every client do.
var rules = proto.GetExtension(
	rulesv1.File_finlink_rules_v1_client_proto.Options(), rulesv1.E_Client,
).(*rulesv1.ClientRules)

func methodsOf(files ...protoreflect.FileDescriptor) map[string]protoreflect.MethodDescriptor {
	found := map[string]protoreflect.MethodDescriptor{}
	for _, file := range files {
		for s := range file.Services().Len() {
			service := file.Services().Get(s)
			for m := range service.Methods().Len() {
				method := service.Methods().Get(m)
				found["/"+string(service.FullName())+"/"+string(method.Name())] = method
			}
		}
	}
	return found
}

// isRead reports whether a method changes nothing: repeating it is always safe.
func isRead(method protoreflect.MethodDescriptor) bool {
	rule := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	return rule.GetGet() != ""
}

// waitsForPlatform reports whether a platform must reply before Finlink can.
func waitsForPlatform(method protoreflect.MethodDescriptor) bool {
	rule := proto.GetExtension(method.Options(), rulesv1.E_Method).(*rulesv1.MethodRules)
	return slices.Contains(rule.GetErrors(), errorsv1.ErrorReason_ERROR_REASON_PLATFORM_UNAVAILABLE)
}

// isRetried holds for reads, and for changes but those that go to a platform: those their caller repeats in good time.
func isRetried(method protoreflect.MethodDescriptor) bool {
	return isRead(method) || !waitsForPlatform(method)
}

// pauseAfter is the time before one more try, after so many.
func pauseAfter(failures int, pauses *rulesv1.Pauses) time.Duration {
	grown := float64(pauses.First.AsDuration()) * math.Pow(pauses.Factor, float64(failures-1))
	return time.Duration(min(grown, float64(pauses.Longest.AsDuration())))
}

// serviceConfig is gRPC's configuration of the calls that are tried again. Streams begin again in their own ways.
func serviceConfig() string {
	retried := []any{}
	for path, method := range methods {
		if isRetried(method) && !method.IsStreamingServer() {
			service, name, _ := strings.Cut(path[1:], "/")
			retried = append(retried, map[string]any{"service": service, "method": name})
		}
	}
	seconds := func(duration time.Duration) string { return fmt.Sprintf("%gs", duration.Seconds()) }
	policy := map[string]any{
		"maxAttempts":          rules.Retry.Attempts,
		"initialBackoff":       seconds(rules.Retry.Pauses.First.AsDuration()),
		"maxBackoff":           seconds(rules.Retry.Pauses.Longest.AsDuration()),
		"backoffMultiplier":    rules.Retry.Pauses.Factor,
		"retryableStatusCodes": []string{"UNAVAILABLE"},
	}
	config, err := json.Marshal(map[string]any{
		"methodConfig":    []any{map[string]any{"name": retried, "retryPolicy": policy}},
		"retryThrottling": map[string]any{"maxTokens": rules.Retry.Tokens, "tokenRatio": rules.Retry.TokensPerSuccess},
	})
	if err != nil {
		panic(err) // only texts and numbers are in it
	}
	return string(config)
}
