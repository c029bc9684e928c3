import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * What MSK does with a login by IAM, as far as AWS documents it: a token is a signed request to kafka-cluster:Connect, in
 * URL-safe base64. Its host, action, age and signature are checked, for one access key.
 */
public final class MskIam implements AuthenticateCallbackHandler {
    private String key;
    private String secret;
    private String region;

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        Map<String, ?> options = entries.get(0).getOptions();
        key = (String) options.get("key");
        secret = (String) options.get("secret");
        region = (String) options.get("region");
    }

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback asked) {
                try {
                    asked.token(check(asked.tokenValue()));
                } catch (Exception refused) {
                    System.err.println("login refused: " + refused);
                    asked.error("invalid_token", null, null);
                }
            }
        }
    }

    private OAuthBearerToken check(String value) throws Exception {
        URI request = URI.create(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8));
        expect("https://kafka." + region + ".amazonaws.com/", request.getScheme() + "://" + request.getHost() + request.getPath());
        TreeMap<String, String> query = new TreeMap<>();
        for (String pair : request.getRawQuery().split("&")) {
            query.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
        }
        expect("kafka-cluster:Connect", decoded(query, "Action"));
        expect("AWS4-HMAC-SHA256", decoded(query, "X-Amz-Algorithm"));
        expect("host", decoded(query, "X-Amz-SignedHeaders"));
        String date = decoded(query, "X-Amz-Date");
        String scope = date.substring(0, 8) + "/" + region + "/kafka-cluster/aws4_request";
        expect(key + "/" + scope, decoded(query, "X-Amz-Credential"));
        Instant signed = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC).parse(date, Instant::from);
        Instant expires = signed.plusSeconds(Long.parseLong(decoded(query, "X-Amz-Expires")));
        if (Instant.now().isAfter(expires)) {
            throw new SecurityException("expired at " + expires);
        }

        String signature = query.remove("X-Amz-Signature");
        // Added after the request was signed.
        query.remove("User-Agent");
        StringBuilder canonical = new StringBuilder();
        query.forEach((name, part) -> canonical.append(canonical.isEmpty() ? "" : "&").append(name).append('=').append(part));
        String asked = "GET\n/\n" + canonical + "\nhost:" + request.getHost() + "\n\nhost\n" + hex(digest(""));
        String text = "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex(digest(asked));
        byte[] sealed = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
        for (String part : scope.split("/")) {
            sealed = mac(sealed, part);
        }
        expect(hex(mac(sealed, text)), signature);
        return new Token(value, key, signed.toEpochMilli(), expires.toEpochMilli());
    }

    private static String decoded(Map<String, String> query, String name) {
        String value = query.get(name);
        if (value == null) {
            throw new SecurityException("no " + name);
        }
        return URLDecoder.decode(value, StandardCharsets.UTF_8);
    }

    private static void expect(String expected, String found) {
        if (!expected.equals(found)) {
            throw new SecurityException("not " + expected + " but " + found);
        }
    }

    private static byte[] digest(String text) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] mac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    private record Token(String value, String principalName, Long startTimeMs, long lifetimeMs) implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }
    }
}
