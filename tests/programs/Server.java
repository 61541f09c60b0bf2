import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** Serves the paths that all test servers serve, by the JDK's own server: `java Server.java ADDRESS PORT`. */
public class Server {
    public static void main(String[] arguments) throws IOException {
        var address = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        var server = HttpServer.create(address, 0);
        server.createContext("/", Server::handle);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }

    private static void handle(HttpExchange exchange) throws IOException {
        exchange.getRequestBody().readAllBytes();
        int length = switch (exchange.getRequestURI().getPath()) {
            case "/small" -> 612;
            case "/large" -> 1 << 20;
            case "/empty" -> 0;
            case "/chunked" -> 24;
            default -> -1;
        };
        if (length < 0) {
            exchange.sendResponseHeaders(404, -1);
        } else if (exchange.getRequestMethod().equals("HEAD") || length == 0) {
            exchange.sendResponseHeaders(200, -1);
        } else {
            // 0 means chunked here.
            exchange.sendResponseHeaders(200, length == 24 ? 0 : length);
            try (OutputStream body = exchange.getResponseBody()) {
                body.write(new byte[length]);
            }
        }
        exchange.close();
    }
}
