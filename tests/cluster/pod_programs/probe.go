// A pod to look around with: `program serve [port]` answers HTTP with its pod's name; `program lookup <name>` and
// `program get <url>` say what DNS and HTTP answer, in at most ten seconds; `program spin` uses a whole core.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const limit = 10 * time.Second

func main() {
	command, argument := "serve", "8080"
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	if len(os.Args) > 2 {
		argument = os.Args[2]
	}
	if err := run(command, argument); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command, argument string) error {
	switch command {
	case "serve":
		return serve(argument)
	case "lookup":
		return lookup(argument)
	case "get":
		return get(argument)
	case "spin":
		for {
		}
	}
	return fmt.Errorf("unknown command %q", command)
}

func serve(port string) error {
	name, _ := os.Hostname()
	fmt.Println("serving on", port)
	return http.ListenAndServe(":"+port, http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		fmt.Fprintln(reply, name)
	}))
}

func lookup(name string) error {
	deadline, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(deadline, name)
	if err == nil {
		fmt.Println(strings.Join(addresses, " "))
	}
	return err
}

func get(url string) error {
	client := http.Client{Timeout: limit}
	reply, err := client.Get(url)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	_, err = io.Copy(os.Stdout, reply.Body)
	return err
}
