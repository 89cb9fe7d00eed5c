"""Fi Money: MCP over streamable HTTP, one JSON-RPC message a POST."""
