// A program for the CTC API that knows its base URL but no credentials, with Java's HttpClient. By
// default, it offers HTTP/2 with its first request.

import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;

public class WithHttpClient {
    public static void main(String[] args) throws Exception {
        String base = args[0];
        HttpClient http = HttpClient.newHttpClient();

        var pages = new ArrayList<java.util.concurrent.CompletableFuture<java.net.http.HttpResponse<String>>>();
        for (int page = 1; page <= 3; page++) {
            URI uri = URI.create(base + "/connect/services/devices?pgsize=5&pg=" + page);
            pages.add(http.sendAsync(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofString()));
        }
        for (var page : pages) {
            expect(200, page.get().statusCode());
        }

        URI notes = URI.create(base + "/connect/services/devices/1001/notes");
        var note = HttpRequest.newBuilder(notes).POST(BodyPublishers.ofString("from Java")).build();
        expect(201, http.send(note, BodyHandlers.ofString()).statusCode());

        URI large = URI.create(base + "/connect/test/bytes/1000000");
        var stream = http.send(HttpRequest.newBuilder(large).build(), BodyHandlers.ofInputStream());
        try (InputStream body = stream.body()) {
            expect(1000000, body.readAllBytes().length);
        }

        URI echo = URI.create(base + "/connect/test/echo");
        var pieces = BodyPublishers.ofInputStream(
            () -> new java.io.ByteArrayInputStream(new byte[1000000]));
        var upload = HttpRequest.newBuilder(echo).POST(pieces).build();
        String seen = http.send(upload, BodyHandlers.ofString()).body();
        if (!seen.contains("\"bodyLength\":1000000")) {
            throw new AssertionError(seen);
        }

        URI forbidden = URI.create(base + "/connect/test/forbidden");
        var request = HttpRequest.newBuilder(forbidden).build();
        var response = http.send(request, BodyHandlers.ofString());
        expect(403, response.statusCode());
        expect(0, response.headers().allValues("set-cookie").size());
        System.out.println("fine");
    }

    static void expect(int expected, int found) {
        if (expected != found) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }
}
