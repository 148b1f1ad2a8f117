#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes hostile.txt and legal.txt next to itself: HTTP/1.1 requests as data, one per line, `name | status | bytes`.

The bytes are written with \\r \\n \\t \\\\ \\xNN, and {TEXT*N} is TEXT N times (a brace itself is \\x7b, \\x7d).
hostile.txt: a server refuses with that status, closes, and never answers what follows. legal.txt: it is served;
`200 close` means that the connection ends with it. Where a status is not the usual 400 the reason stands beside it.
"""
import pathlib
import re

HOST = "Host: x\\r\\n"
FOLDER = pathlib.Path(__file__).parent


def get(headers=HOST, line="GET / HTTP/1.1"):
    return f"{line}\\r\\n{headers}\\r\\n"


def post(headers, body="", line="POST / HTTP/1.1"):
    return get(HOST + headers, line) + body


def chunked(body):
    return post("Transfer-Encoding: chunked\\r\\n", body)


def hx(byte):
    return f"\\x{byte:02x}"


def lengths():
    bad = ["", "-1", "+5", "5 5", "5,5", "5, 5", "0x5", "5.0", "5e0", "five", "5;", "\"5\"", "18446744073709551616",
           "99999999999999999999999", "5 x", "0,0", "5 ,", ",5", "1_0", "1'0", "0b1", "NaN", "-0", "+0", "5-", "0 5",
           "\\xd9\\xa1", "5\\x0b", "\\xef\\xbc\\x95", "%35", "5h", "(5)", "5=5", "=5"]
    for value in bad:
        yield "bad", 400, post(f"Content-Length: {value}\\r\\n", "hello")
    for value in ["99999999999", "18446744073709551615", "1099511627776", "00099999999999"]:
        yield "huge", 413, post(f"Content-Length: {value}\\r\\n")
    for first, second in [("5", "5"), ("5", "6"), ("6", "5"), ("0", "5"), ("5", "0"), ("5", "x"), ("x", "5"), ("", "5")]:
        for name in ["Content-Length", "content-length", "CONTENT-LENGTH"]:
            yield "twice", 400, post(f"Content-Length: {first}\\r\\n{name}: {second}\\r\\n", "hello")
    yield "twice_apart", 400, post("Content-Length: 5\\r\\nA: b\\r\\nContent-Length: 5\\r\\n", "hello")
    yield "twice_get", 400, get(HOST + "Content-Length: 0\\r\\nContent-Length: 0\\r\\n")


def encodings():
    bad = ["identity", "gzip", "chunked, gzip", "chunked, chunked", "xchunked", "chunkedx", "chunk", "", ",", "chunked,",
           ",chunked", ", chunked", "chunked;q=1", "\"chunked\"", "chunked, identity", "\\x0bchunked", "chunked\\x0b",
           "chunked\\x0c", "gzip\\tchunked", "gzip chunked", "cow", "chu nked", "trailers", "'chunked' x", "chunked/1",
           "[chunked]", "CHUNKED chunked", "chunk\\xe9d", "chunked\\x00", "chunked, ", "gzip,,chunked", "gzip;a, chunked",
           "chunked, chunked, chunked", "gzip, chunked, chunked", "true", "1", "chunked=1", "x=chunked", "\\xa0chunked"]
    for value in bad:
        yield "bad", 400, post(f"Transfer-Encoding: {value}\\r\\n", "0\\r\\n\\r\\n")
    # Well-formed, but codings that nobody here undoes.
    for value in ["gzip, chunked", "gzip,chunked", "gzip, CHUNKED", "deflate, gzip, chunked", "identity, chunked",
                  "br , chunked", "x-gzip,\\tchunked"]:
        yield "unknown", 501, post(f"Transfer-Encoding: {value}\\r\\n", "0\\r\\n\\r\\n")
    for first, second in [("chunked", "chunked"), ("chunked", "identity"), ("identity", "chunked"), ("gzip", "chunked"),
                          ("chunked", ""), ("", "chunked"), ("chunked", "cow")]:
        yield "twice", 400, post(f"Transfer-Encoding: {first}\\r\\nTransfer-encoding: {second}\\r\\n", "0\\r\\n\\r\\n")
    for value in ["chunked", "gzip, chunked", "identity"]:
        yield "http_1_0", 400, post(f"Transfer-Encoding: {value}\\r\\n", "0\\r\\n\\r\\n", "POST / HTTP/1.0")


def length_and_encoding():
    for encoding in ["chunked", "CHUNKED", "identity", "gzip, chunked", "", "xchunked", "chunked "]:
        for length in ["0", "5", "4", "x"]:
            te, cl = f"Transfer-Encoding: {encoding}\\r\\n", f"Content-Length: {length}\\r\\n"
            yield "cl_te", 400, post(cl + te, "0\\r\\n\\r\\n")
            yield "te_cl", 400, post(te + cl, "0\\r\\n\\r\\n")
    yield "get", 400, get(HOST + "content-length: 6\\r\\ntransfer-encoding: chunked\\r\\n") + "0\\r\\n\\r\\nG"


def header_names():
    spellings = ["{} :", "{}\\t:", " {}:", "\\t{}:", "{}\\x00:", "{}\\r\\n :", "{}\\xa0:", "\"{}\":", "{}", ":{}:", "{}\\x0b:",
                 "\\xef\\xbb\\xbf{}:", "{}=", "{};:", "{}  :"]
    for name, value in [("Transfer-Encoding", "chunked"), ("Content-Length", "5"), ("X-Any", "value")]:
        for spelling in spellings:
            yield name.lower(), 400, post(spelling.format(name) + f" {value}\\r\\n", "0\\r\\n\\r\\n")
        yield name.lower() + "_folded", 400, post(f"{name}:\\r\\n {value}\\r\\n", "0\\r\\n\\r\\n")
    for char in "()<>@,;\\\"/[]?=":
        char = "\\\\" if char == "\\" else char
        yield "delimiter", 400, get(HOST + f"a{char}b: c\\r\\n")
    for char in ["\\x7b", "\\x7d", "\\x80", "\\xff", "\\xc3\\xa9"]:
        yield "byte", 400, get(HOST + f"a{char}b: c\\r\\n")
    yield "empty", 400, get(HOST + ": c\\r\\n")
    yield "no_colon", 400, get(HOST + "abc\\r\\n")


def folds():
    for white in [" ", "\\t", "  ", " \\t"]:
        yield "first", 400, get(f"{white}Host: x\\r\\n" + HOST)
        yield "middle", 400, get(HOST + f"A: b\\r\\n{white}c\\r\\nD: e\\r\\n")
        yield "last", 400, get(HOST + f"A: b\\r\\n{white}c\\r\\n")
        yield "blank", 400, get(HOST + f"A: b\\r\\n{white}\\r\\n")


def line_ends():
    lines = ["POST / HTTP/1.1", "Host: x", "A: b", "Content-Length: 0", ""]
    for place in range(len(lines)):
        for end in ["\\n", "\\r", "\\n\\r", "\\r\\r\\n", "\\r\\x00\\n", "\\x0b\\n"]:
            yield f"line_{place}", 400, "".join(
                line + (end if i == place else "\\r\\n") for i, line in enumerate(lines))
    yield "all_lf", 400, "\\n".join(lines) + "\\n"
    yield "all_cr", 400, "\\r".join(lines) + "\\r"
    yield "lf_in_value", 400, get(HOST + "A: b\\nTransfer-Encoding: chunked\\r\\n")
    yield "cr_in_value", 400, get(HOST + "A: b\\rTransfer-Encoding: chunked\\r\\n")
    yield "lf_before", 400, "\\n" + get()
    yield "cr_before", 400, "\\r" + get()
    yield "blank_lines", 400, "{\\r\\n*9}" + get()


def control_bytes():
    shape = ["", "GE", "T", " ", "/a", "b", " HTTP/", "1.1\\r\\nHo", "st", ": ", "x", "y\\r\\nA: b", "\\r\\n", "\\r\\n"]
    for byte in [0x00, 0x01, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f]:
        for place in range(len(shape)):
            yield f"{byte:02x}_{place}", 400, "".join(shape[:place]) + hx(byte) + "".join(shape[place:])
    for place in range(1, 10):  # a tab is allowed in values only
        yield f"tab_{place}", 400, "".join(shape[:place]) + "\\t" + "".join(shape[place:])


def request_lines():
    for method in ["", "G ET", "GET\\t", "GE(T", "G@T", "<GET>", "\"GET\"", "GET:", "G,T", "G/T", "G;T", "G=T", "G?T", "G[T",
                   "G\\\\T", "G\\xc3\\xa9T", "\\xef\\xbb\\xbfGET", "\\x7bGET\\x7d"]:
        yield "method", 400, get(line=f"{method} / HTTP/1.1")
    for target in ["x:443", "/", "http://x/"]:  # no tunnels here
        yield "connect", 501, get(line=f"CONNECT {target} HTTP/1.1")
    for version in ["", "HTTP", "HTTP/", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/1.1.1", "HTTP/11", "HTTP/1,1", "http/1.1",
                    "Http/1.1", "HTTP/1.1 ", "HTTP/1.1\\t", "HTTP /1.1", "HTTP/ 1.1", "HTTP/01.1", "HTTP/1.01", "HTTP/1.10",
                    "HTTP/a.b", "HTTPS/1.1", "ICY/1.1", "HTTP-1.1", "XHTTP/1.1", "HTTP/1.x", "HTTP/-1.1", "HTTP/+1.1",
                    "HTTP\\\\1.1", "HTTP/1.1x"]:
        yield "version", 400, get(line=f"GET / {version}")
    for version in ["0.9", "0.0", "2.0", "2.1", "3.0", "9.9"]:
        yield "major", 505, get(line=f"GET / HTTP/{version}")
    yield "http2_preface", 505, "PRI * HTTP/2.0\\r\\nHost: x\\r\\n\\r\\n"  # the real one is served
    for line in ["GET", "GET ", "GET /", "GET  / HTTP/1.1", "GET /  HTTP/1.1", " GET / HTTP/1.1", "GET\\t/\\tHTTP/1.1",
                 "/ GET HTTP/1.1", "GET / / HTTP/1.1", "GET/ HTTP/1.1", "GET / HTTP/1.1 HTTP/1.1", "HTTP/1.1 200 OK", ":", "\\xff"]:
        yield "line", 400, get(line=line)


def targets():
    for target in ["x", "x/", "http:/x", "http:x", "http://", "http:///", "http:///a", "https://", "ftp://x/", "http://?a", "*", "*/",
                   "*a", "/a b", "/a#b", "/\\x80", "/\\xc3\\xa9", "\\\\", "?a", "#", "/a\\tb", "http://a@b/", "http://a:b@c/",
                   "http://a\\\\b/", "http://x:y/", "http://[::1/", "http://x:1:2/", "http://x#y", "http://a,b/", "http://<x>/",
                   "x:80", "file:///etc/passwd", "javascript:1", "../", ".", "http://x y/", "http://[]/", "http://::1/"]:
        yield "bad", 400, get(line=f"GET {target} HTTP/1.1")
    yield "star_post", 400, post("", line="POST * HTTP/1.1")
    for target in ["/{a*9000}", "/{a*60000}", "/?{a*9000}", "http://x/{a*9000}", "/{%41*3000}", "{a*9000}"]:
        yield "long", 414, get(line=f"GET {target} HTTP/1.1")


def hosts():
    for headers in ["", "A: b\\r\\n", "Hosts: x\\r\\n", "X-Host: x\\r\\n"]:
        yield "missing", 400, get(headers)
    yield "missing_absolute", 400, get("", "GET http://x/ HTTP/1.1")
    for second in ["Host: x", "host: x", "HOST: y", "Host:", "Host: x, y"]:
        yield "twice", 400, get(HOST + second + "\\r\\n")
    for value in ["a b", "a,b", "a, b", "a/b", "/", "a@b", "a?b", "a#b", "http://x", "a\\\\b", "<a>", "a b:80", "a:b", "a:80:80", "[::1",
                  "::1", "[::1]x", "a:99x", "\\xc3\\xa9", "\\x7ba\\x7d", "a|b", "a^b", "a`b", "\"a\"", "a:-1", "a: 80", "[]", "[zz]",
                  "[::1]:x", "a%", "a%zz", "a:+80", "x:1234567", "x\\ty", "a]b", "a[b"]:
        yield "bad", 400, get(f"Host: {value}\\r\\n")
    yield "bad_1_0", 400, get("Host: a b\\r\\n", "GET / HTTP/1.0")
    yield "twice_1_0", 400, get(HOST + HOST, "GET / HTTP/1.0")


def sizes():
    yield "value", 431, get(HOST + "A: {a*40000}\\r\\n")
    yield "value_endless", 431, "GET / HTTP/1.1\\r\\n" + HOST + "A: {a*60000}"
    yield "name", 431, get(HOST + "{a*40000}: b\\r\\n")
    yield "many_small", 431, get(HOST + "{A: b\\r\\n*100}")
    yield "many", 431, get(HOST + "{A: b\\r\\n*1000}")
    yield "many_big", 431, get(HOST + "{A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\\r\\n*1000}")
    yield "method", 414, "{G*40000} / HTTP/1.1\\r\\n" + HOST + "\\r\\n"
    yield "line_endless", 414, "GET /{a*70000}"


def chunks():
    for size in ["", "g", "-1", "+1", "0x1", " 1", "1 ", "1\\t", "1g", "1,", "1:", "{f*16}", "{0*16}", "{f*40}", "1_0", "1 ;x", "x1",
                 "\\xef\\xbc\\x91", "\\x001", "1\\x00", "\"1\"", ";a", "1.0", "1h", "\\x0b1", "%31", "--1"]:
        yield "size", 400, chunked(f"{size}\\r\\na\\r\\n0\\r\\n\\r\\n")
    for size in ["fffffffffffffff", "7fffffff", "ffffffff", "100000000", "2000001"]:  # refused before the bytes come
        yield "huge", 413, chunked(f"{size}\\r\\na")
    for end in ["\\n", "\\r", "\\n\\r\\n", "\\r\\r\\n", "\\r\\x00", " \\r\\n"]:
        yield "size_end", 400, chunked(f"1{end}a\\r\\n0\\r\\n\\r\\n")
        yield "last_size_end", 400, chunked(f"0{end}\\r\\n")
        yield "data_end", 400, chunked(f"1\\r\\na{end}0\\r\\n\\r\\n")
        if end != " \\r\\n":
            yield "extension_end", 400, chunked(f"1;a{end}a\\r\\n0\\r\\n\\r\\n")
    for extension in [";a\\x00", ";a\\x0b", ";\\x7f", ";{a*2000}", ";a\\rb", ";a\\nb", ";a=\"\\n\""]:
        yield "extension", 400, chunked(f"1{extension}\\r\\na\\r\\n0\\r\\n\\r\\n")
    for data in ["1\\r\\naX", "1\\r\\naa\\r\\n", "2\\r\\na\\r\\n0\\r\\n\\r\\n", "5\\r\\nhello0\\r\\n\\r\\n", "1\\r\\n\\r\\n\\r\\n0\\r\\n\\r\\nX",
                 "1\\r\\na\\r\\n\\r\\n0\\r\\n\\r\\n", "hello", "\\r\\n0\\r\\n\\r\\n"]:
        yield "data", 400, chunked(data)
    for trailer in ["X\\r\\n", ": x\\r\\n", " a: b\\r\\n", "\\ta: b\\r\\n", "a : b\\r\\n", "a\\t: b\\r\\n", "a: \\x00\\r\\n", "a: b\\n", "a: b\\rc\\r\\n",
                    "a: {x*9000}\\r\\n", "a: b\\r\\n c\\r\\n", "{a: b\\r\\n*2000}", "\\x00", "\\n", "\\r\\r\\n", "a b: c\\r\\n"]:
        yield "trailer", 400, chunked(f"0\\r\\n{trailer}\\r\\n")


def expectations():
    for value in ["200-ok", "100-continue, x", "", "100", "100-continue;a", "continue", "\"100-continue\"", "x, 100-continue"]:
        yield "unknown", 417, post(f"Expect: {value}\\r\\nContent-Length: 1\\r\\n", "a")
    yield "second", 417, post("Expect: x\\r\\nExpect: 100-continue\\r\\nContent-Length: 1\\r\\n", "a")


def other_protocols():
    for name, text in {
        "tls_hello": "\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03", "ssh": "SSH-2.0-x\\r\\n\\r\\n", "smtp": "EHLO x\\r\\n\\r\\n",
        "socks5": "\\x05\\x01\\x00", "redis": "*1\\r\\n$4\\r\\nPING\\r\\n\\r\\n", "http_0_9": "GET /\\r\\n\\r\\n", "ftp": "USER a\\r\\n\\r\\n",
        "json": "\\x7b\\\"a\\\":1\\x7d\\n", "postgres": "\\x00\\x00\\x00\\x08\\x04\\xd2\\x16\\x2f", "response": "HTTP/1.1 200 OK\\r\\n\\r\\n",
        "sip": "OPTIONS sip:a@b SIP/2.0\\r\\n\\r\\n", "rtsp": "OPTIONS rtsp://x/ RTSP/1.0\\r\\n\\r\\n", "proxy_v1": "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\\r\\n" + get(),
        "proxy_v2": "\\r\\n\\r\\n\\x00\\r\\nQUIT\\n", "icap": "REQMOD icap://x/ ICAP/1.0\\r\\n\\r\\n",
    }.items():
        yield name, 400, text.replace("\\\"", "\"")


def legal():
    def ok(name, text, status="200"):
        return name, status, text
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "M-SEARCH", "get", "X!#$%&'*+-.^_`|~1"]:
        yield ok("method", get(line=f"{method} / HTTP/1.1"))
    for target in ["/", "/a/b/c", "/a?b=c&d", "/?", "/a?b?c", "//x", "/%20%zz", "/a;b=c", "/:@!$&'()*+,;=", "/a|b", "http://x", "http://x/",
                   "http://x:80/a?b", "HTTP://X/", "https://x.y/", "http://x?a", "http://[::1]:80/", "http://x:/", "/{a*8000}", "/~a_b-c.d"]:
        yield ok("target", get(line=f"GET {target} HTTP/1.1"))
    yield ok("star", get(line="OPTIONS * HTTP/1.1"))
    for host in ["x", "x:80", "", "127.0.0.1:8080", "[::1]", "[::1]:80", "a.b-c_d", "x:", "a%20b", "[fe80::1%25eth0]", "[v1.a:b]", "a~b", "a!$&'()*+;=b"]:
        yield ok("host", get(f"Host: {host}\\r\\n"))
    yield ok("host_tight", get("Host:x\\r\\n"))
    yield ok("host_wide", get("Host: \\t x \\t \\r\\n"))
    yield ok("host_case", get("hOsT: x\\r\\n"))
    for value in ["", "a", "a b\\tc", "\\xff\\x80", "\"a, b\"", ":::", "\\xc3\\xa9", "{a*30000}"]:
        yield ok("value", get(HOST + f"A: {value}\\r\\n"))
    yield ok("headers_99", get(HOST + "{A: b\\r\\n*99}"))
    yield ok("blank_lines", "{\\r\\n*8}" + get())
    yield ok("minor", get(line="GET / HTTP/1.2"))
    yield ok("minor_9", get(line="GET / HTTP/1.9"))
    for length, body in [("0", ""), ("5", "hello"), ("005", "hello"), ("5 ", "hello"), ("\\t5", "hello"), ("4", "\\x00\\r\\n\\x00")]:
        yield ok("length", post(f"Content-Length: {length}\\r\\n", body))
    yield ok("length_get", get(HOST + "Content-Length: 5\\r\\n") + "hello")
    yield ok("length_looks_like_a_request", post("Content-Length: 18\\r\\n", "GET / HTTP/1.1\\r\\n\\r\\n"))
    for encoding in ["chunked", "CHUNKED", "Chunked", "chunked ", "\\tchunked"]:
        yield ok("chunked", post(f"Transfer-Encoding: {encoding}\\r\\n", "5\\r\\nhello\\r\\n0\\r\\n\\r\\n"))
    for body in ["0\\r\\n\\r\\n", "000\\r\\n\\r\\n", "1\\r\\na\\r\\n00001\\r\\nb\\r\\n0\\r\\n\\r\\n", "a\\r\\n0123456789\\r\\nA\\r\\n0123456789\\r\\n0\\r\\n\\r\\n",
                 "1;a\\r\\nx\\r\\n0;b\\r\\n\\r\\n", "1;a=b;c=\"d e\"\\r\\nx\\r\\n0\\r\\n\\r\\n", "1; a = b\\r\\nx\\r\\n0\\r\\n\\r\\n",
                 "0\\r\\nA: b\\r\\nC:\\r\\n\\r\\n", "2\\r\\n\\r\\n\\r\\n0\\r\\n\\r\\n", "1;\\r\\nx\\r\\n0\\r\\n\\r\\n", "0\\r\\nContent-Length: 5\\r\\n\\r\\n",
                 "1f\\r\\n{a*31}\\r\\n0\\r\\n\\r\\n"]:
        yield ok("chunks", chunked(body))
    yield ok("expect", post("Expect: 100-continue\\r\\nContent-Length: 5\\r\\n", "hello"))
    yield ok("expect_case", post("expect: 100-Continue\\r\\nContent-Length: 5\\r\\n", "hello"))
    yield ok("keep_alive", get(HOST + "Connection: keep-alive\\r\\n"))
    yield ok("upgrade_ignored", get(HOST + "Connection: Upgrade\\r\\nUpgrade: h2c\\r\\n"))
    yield ok("names_alike", get(HOST + "Content_Length: 5\\r\\nTransfer_Encoding: chunked\\r\\nX-Content-Length: 5\\r\\n"))
    for value in ["close", "CLOSE", "x, close", "close, keep-alive", "keep-alive,close"]:
        yield ok("close", get(HOST + f"Connection: {value}\\r\\n"), "200 close")
    yield ok("http_1_0", get("", "GET / HTTP/1.0"), "200 close")
    yield ok("http_1_0_host", get(HOST, "GET / HTTP/1.0"), "200 close")
    yield ok("http_1_0_length", post("Content-Length: 5\\r\\n", "hello", "POST / HTTP/1.0"), "200 close")
    yield ok("http_1_0_expect", post("Expect: 100-continue\\r\\nContent-Length: 5\\r\\n", "hello", "POST / HTTP/1.0"), "200 close")
    yield ok("http_1_0_keep_alive", get(HOST + "Connection: Keep-Alive\\r\\n", "GET / HTTP/1.0"))


HOSTILE = [lengths, encodings, length_and_encoding, header_names, folds, line_ends, control_bytes, request_lines, targets, hosts, sizes,
           chunks, expectations, other_protocols]


def write(path, shapes):
    seen, lines, numbers = set(), [], {}
    for shape in shapes:
        for name, status, text in shape():
            if text in seen:
                continue
            seen.add(text)
            assert re.fullmatch(r"[ -~]*", text), text
            name = f"{shape.__name__}.{name}"
            numbers[name] = numbers.get(name, 0) + 1
            lines.append(f"{name}.{numbers[name]} | {status} | {text}\n")
    path.write_text("".join(lines))
    print(f"{path.name}: {len(lines)}")


if __name__ == "__main__":
    write(FOLDER / "hostile.txt", HOSTILE)
    write(FOLDER / "legal.txt", [legal])
