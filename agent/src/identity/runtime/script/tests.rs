use proptest::{collection::vec, prelude::*};

use super::*;

fn check(executable: &str, words: &str, expected: Option<&str>) {
    let command_line: Vec<u8> = words.split(' ').flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    let found = script_name(executable.as_bytes(), &command_line);
    assert_eq!(found.as_deref(), expected, "{executable}: {words}");
}

#[test]
fn python_programs() {
    for (words, expected) in [
        ("python3 /srv/shop/app.py", Some("shop")),
        ("python3 /srv/shop/cart.py --port 80", Some("cart")),
        ("python3 app.py", None),
        ("python3 cart.py", Some("cart")),
        ("python3 -u -X dev -W ignore /srv/shop/main.py", Some("shop")),
        ("python3 -Wignore /srv/shop/main.py", Some("shop")),
        ("python3 -c code", None),
        ("python3 -uc x", None),
        ("python3", None),
        ("python3 -", None),
        ("python3 -m cart", Some("cart")),
        ("python3 -um cart.worker", Some("cart")),
        ("python3 -m http.server 80", None),
        ("python3 -m gunicorn shop.wsgi:app", Some("shop")),
        ("python3 /usr/local/bin/gunicorn -b 0.0.0.0:80 -w 4 shop.api:create_app()", Some("shop")),
        ("python3 /usr/local/bin/gunicorn --bind=unix:/run/x.sock src.shop.orders.main:app", Some("shop.orders")),
        ("python3 /usr/bin/gunicorn --name cart main:app", Some("cart")),
        ("python3 /usr/bin/gunicorn shop.wsgi", Some("shop")),
        ("python3 /srv/shop/venv/bin/uvicorn main:app", None),
        ("python3 /usr/bin/celery -A shop worker -n one", Some("shop")),
        ("python3 -m flask --app shop.py run", Some("shop")),
        ("python3 /usr/bin/streamlit run /srv/board/app.py", Some("board")),
        ("python3 /srv/shop/manage.py runserver 0.0.0.0:8000", Some("shop")),
        ("python3 /srv/users/alice/shop/app.py", Some("shop")),
        ("python3 /usr/bin/salt-minion", Some("salt-minion")),
        ("python3 /usr/lib/python3/dist-packages/x/y.py", None),
        ("python3 /srv/shop/releases/20240102/app.py", Some("shop")),
        ("python3 /srv/shop/3f2a91c/app.py", Some("shop")),
        ("python3 -- /srv/shop/app.py", Some("shop")),
        ("python3 /srv/a\u{20ac}b.py", None),
        ("python3 /srv/../app.py", None),
    ] {
        check("/usr/bin/python3.11", words, expected);
    }
    for (words, expected) in [
        ("uwsgi --module shop.wsgi:application", Some("shop")),
        ("uwsgi --wsgi-file=/srv/shop/app.py", Some("shop")),
        ("uwsgi --ini /usr/share/uwsgi/conf/default.ini --ini /etc/uwsgi/apps-enabled/shop.ini", Some("shop")),
        ("uwsgi --ini /etc/uwsgi/app.ini", None),
    ] {
        check("/usr/bin/uwsgi", words, expected);
    }
}

#[test]
fn node_programs() {
    for (words, expected) in [
        ("node server.js", None),
        ("node /srv/shop/server.js", Some("shop")),
        ("node /app/server.js", None),
        ("node /usr/src/app/dist/index.js", None),
        ("node -r ./tracing.js --max-old-space-size=512 /srv/shop/cart.mjs", Some("cart")),
        ("node --require ./tracing.js --enable-source-maps /srv/shop/dist/main", Some("shop")),
        ("node --import=./a.mjs /srv/shop/main.js", Some("shop")),
        ("node -e code", None),
        ("node --title=cart /app/server.js", Some("cart")),
        ("node --title cart /app/server.js", Some("cart")),
        ("node /app/server.js --title=cart", None),
        ("node /srv/shop/node_modules/.bin/next start", Some("shop")),
        ("node /app/node_modules/.bin/next start", None),
        ("node /usr/lib/node_modules/n8n/bin/n8n", Some("n8n")),
        ("node /usr/lib/node_modules/@acme/board/c.js", Some("board")),
        ("node /usr/bin/npm start", None),
        ("node /usr/bin/ts-node /srv/shop/src/main.ts", Some("shop")),
        ("node /usr/share/kibana/src/cli/dist", Some("kibana")),
    ] {
        check("/usr/bin/node", words, expected);
    }
    check("/usr/bin/deno", "deno run --allow-net /srv/shop/main.ts", Some("shop"));
    check("/usr/bin/bun", "bun /srv/shop/cart.ts", Some("cart"));
    check("/usr/bin/node", "node run cart", None);
}

#[test]
fn java_programs() {
    for (words, expected) in [
        ("java -jar /opt/cart-1.2.jar", Some("cart")),
        (
            "java -Xmx1g -javaagent:/a/otel.jar -Dx=y -jar /opt/cart-service-0.0.1-SNAPSHOT.jar --a",
            Some("cart-service"),
        ),
        ("java -jar /app/app.jar", None),
        ("java -jar /srv/shop/target/quarkus-app/quarkus-run.jar", Some("shop")),
        ("java -jar kafka_2.13-3.6.0.jar", Some("kafka")),
        ("java -jar /usr/share/jenkins/jenkins.war", Some("jenkins")),
        ("java -cp /a:/b com.example.CartService", Some("CartService")),
        ("java -classpath /a com.example.shop.Main", Some("shop")),
        ("java -cp /a com.example.Main", None),
        ("java -cp /a Main", None),
        ("java -cp /t/bootstrap.jar org.apache.catalina.startup.Bootstrap start", Some("catalina")),
        ("java -cp /app org.springframework.boot.loader.launch.JarLauncher", None),
        ("java -cp /app com.example.shop.MainKt", Some("shop")),
        ("java -p /mods -m com.example.shop/com.example.shop.Main", Some("shop")),
        ("java --add-opens java.base/java.lang=ALL-UNNAMED kafka.Kafka /c", Some("Kafka")),
        ("java @arguments", None),
        ("java -version", None),
        ("java /srv/shop/Cart.java", Some("Cart")),
        ("java", None),
    ] {
        check("/usr/lib/jvm/bin/java", words, expected);
    }
}

#[test]
fn other_programs() {
    for (executable, words, expected) in [
        ("ruby3.1", "ruby bin/rails server", None),
        ("ruby3.1", "ruby /srv/shop/bin/rails server", Some("shop")),
        ("ruby3.1", "ruby -Ilib -rjson /srv/shop/cart.rb", Some("cart")),
        ("ruby3.1", "ruby -I lib -r set /srv/shop/cart.rb", Some("cart")),
        ("ruby3.1", "ruby -W2 -e code", None),
        ("ruby3.1", "ruby -ne code", None),
        ("ruby3.1", "ruby /usr/local/bin/bundle exec /srv/shop/cart.rb", Some("cart")),
        ("ruby3.1", "ruby /usr/local/bin/bundle exec puma -C config/puma.rb", None),
        ("ruby3.1", "ruby /var/lib/gems/3.1.0/gems/puma-6.0/bin/puma", None),
        ("php8.2", "php /srv/shop/artisan queue:work", Some("shop")),
        ("php8.2", "php -d memory_limit=1G -f /srv/shop/cart.php", Some("cart")),
        ("php8.2", "php -S 0.0.0.0:80 -t /srv/shop/public", None),
        ("php8.2", "php -r code", None),
        ("dotnet", "dotnet Shop.dll", Some("Shop")),
        ("dotnet", "dotnet exec --depsfile a.json /app/Contoso.Shop.dll", Some("Contoso.Shop")),
        ("dotnet", "dotnet run --project /srv/shop", None),
        ("mono", "mono /opt/Shop.exe", Some("Shop")),
        ("perl", "perl -w /srv/shop/cart.pl", Some("cart")),
        ("perl", "perl -I /lib -MPlack /usr/bin/plackup /srv/shop/app.psgi", Some("shop")),
        ("perl", "perl -ne code", None),
        ("beam.smp", "beam.smp -- -root /app -progname erl -- -sname shop -boot /app/x", Some("shop")),
        ("beam.smp", "beam.smp -- -name rabbit@host", Some("rabbit")),
        ("beam.smp", "beam.smp -- -name rem-1f-shop@host", None),
        ("qemu-aarch64", "qemu-aarch64 /usr/bin/node /srv/shop/cart.js", Some("cart")),
        ("", "/usr/bin/python3 /srv/shop/cart.py", Some("cart")),
        ("nginx", "nginx -g daemon", None),
        ("node", "", None),
    ] {
        check(executable, words, expected);
    }
}

#[test]
fn titles() {
    for (executable, title, expected) in [
        ("php-fpm8.2", "php-fpm: pool www", Some("www")),
        ("php-fpm8.2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)", None),
        ("ruby", "puma: cluster worker 0: 12 [shop]", Some("shop")),
        ("ruby", "puma 6.4.0 (tcp://0.0.0.0:3000) [shop]", Some("shop")),
        ("ruby", "puma 6.4.0 (tcp://0.0.0.0:3000) [app]", None),
        ("ruby", "puma 6.4.0 (tcp://0.0.0.0:3000)", None),
        ("ruby", "sidekiq 7.1.0 shop [0 of 5 busy]", Some("shop")),
        ("ruby", "sidekiq 7.1.0 [0 of 5 busy]", None),
        ("ruby", "Passenger RubyApp: /var/www/shop/public (production)", Some("shop")),
        ("ruby", "unicorn worker[0] -c /etc/unicorn.rb", None),
        ("python3.11", "gunicorn: worker [shop.wsgi:app]", Some("shop")),
        ("python3.11", "gunicorn: master [app:app]", None),
        ("node", "node /srv/shop/server.js", Some("shop")),
        ("node", "next-server (v13.4)", None),
    ] {
        for padding in ["", "\0", "\0\0\0\0"] {
            let command_line = format!("{title}{padding}");
            let found = script_name(executable.as_bytes(), command_line.as_bytes());
            assert_eq!(found.as_deref(), expected, "{command_line:?}");
        }
    }
}

#[test]
fn an_argument_that_is_cut_does_not_count() {
    for (line, expected) in [
        ("java\0-cp\0/a\0com.example.CartService\0", Some("CartService")),
        ("java\0-cp\0/a\0com.example.CartServ", None),
        ("java\0-cp\0/a", None),
        ("node\0/srv/shop/serv", None),
        ("node /srv/shop/serv", Some("serv")),
    ] {
        let executable = line.split(['\0', ' ']).next().unwrap_or_default();
        assert_eq!(script_name(executable.as_bytes(), line.as_bytes()).as_deref(), expected, "{line:?}");
    }
    let class = "com.example.CartService";
    let padded = |cut: usize| {
        let padding =
            "x".repeat(MAX_COMMAND_LINE + cut - "java\0-cp\0".len() - "\0".len() - class.len() - "\0".len());
        script_name(b"java", format!("java\0-cp\0{padding}\0{class}\0a\0").as_bytes())
    };
    assert_eq!(padded(0).as_deref(), Some("CartService"));
    assert_eq!(padded(1), None);
    assert_eq!(padded("Service".len()), None);
}

proptest! {
    /// Whatever the arguments, a name is short and plain.
    #[test]
    fn names_are_names(executable in 0..EXECUTABLES.len(), arguments in vec(argument(), 0..6), title in any::<bool>()) {
        let separator = if title { " " } else { "\0" };
        let line = format!("{}{separator}{}", EXECUTABLES[executable], arguments.join(separator));
        if let Some(name) = script_name(EXECUTABLES[executable].as_bytes(), line.as_bytes()) {
            prop_assert!((2..=64).contains(&name.len()), "{}", name);
            prop_assert!(!name.contains(['/', ' ', ':', '=', '\0']), "{}", name);
        }
    }

    #[test]
    fn no_bytes_break_it(executable in 0..EXECUTABLES.len(), line in vec(any::<u8>(), 0..200)) {
        let _ = script_name(EXECUTABLES[executable].as_bytes(), &line);
    }
}

const EXECUTABLES: [&str; 12] =
    ["python3", "uwsgi", "node", "deno", "ruby", "php", "java", "dotnet", "perl", "beam.smp", "qemu-x86_64", ""];

fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        "-{0,2}[a-zA-Z]{0,3}",
        "-{0,2}[a-z]{1,6}=?[a-z/.:]{0,9}",
        "(/?[a-z.@-]{1,8}){1,4}",
        Just("exec".to_owned()),
        Just("-m".to_owned()),
        Just("-jar".to_owned()),
        ".{0,9}",
    ]
}
